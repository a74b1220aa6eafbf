//! Convolutions and pooling. ONNX has channels before the axes of a window, Keras behind them.

use super::super::Result;
use super::products::{transposed, weight};
use super::value::{Axis, View, axis_of, extent, refuse};
use super::{Import, Value, int, list, text};
use rnn_formats::onnx::OnnxNode;
use serde_json::{Value as Json, json};

/// The windows of a node along its axes.
struct Windows {
    size: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    /// Pixels before and behind each axis.
    pads: Vec<[usize; 2]>,
    /// ONNX's name of the padding, where it is not given in pixels.
    auto: String,
}

impl Windows {
    fn of(node: &OnnxNode, size: Vec<usize>) -> Result<Self> {
        let axes = size.len();
        let numbers = |name: &str, default: i64, count: usize| -> Result<Vec<usize>> {
            let given = list(node, name).unwrap_or_else(|| vec![default; count]);
            let all = given.iter().map(|&n| usize::try_from(n).ok().filter(|&n| n < 1 << 31));
            match all.collect::<Option<Vec<usize>>>().filter(|all| all.len() == count) {
                Some(all) => Ok(all),
                None => refuse(format!("{name} = {given:?}")),
            }
        };
        let pads = numbers("pads", 0, 2 * axes)?;
        let windows = Self {
            strides: numbers("strides", 1, axes)?,
            dilations: numbers("dilations", 1, axes)?,
            pads: (0..axes).map(|axis| [pads[axis], pads[axis + axes]]).collect(),
            auto: text(node, "auto_pad", "NOTSET").to_owned(),
            size,
        };
        match [&windows.size, &windows.strides, &windows.dilations].iter().any(|n| n.contains(&0)) {
            true => refuse("windows, steps or distances of 0"),
            false => Ok(windows),
        }
    }

    fn reach(&self, axis: usize) -> usize {
        (self.size[axis] - 1).saturating_mul(self.dilations[axis]) + 1
    }

    /// The padding that Keras's "same" has along an axis of this extent.
    fn same(&self, axis: usize, extent: Option<usize>) -> Option<[usize; 2]> {
        let (reach, stride) = (self.reach(axis), self.strides[axis]);
        let all = match extent {
            Some(extent) => {
                ((extent.div_ceil(stride).max(1) - 1) * stride + reach).saturating_sub(extent)
            }
            None if stride == 1 => reach - 1,
            None => return None,
        };
        Some([all / 2, all - all / 2])
    }

    /// Keras's name of the padding along axes of these extents; none, if it has none.
    fn padding(&self, extents: &[Option<usize>]) -> Option<&'static str> {
        let same = |axis: usize| Some(self.pads[axis]) == self.same(axis, extents[axis]);
        match self.auto.as_str() {
            "SAME_UPPER" => Some("same"),
            "VALID" => Some("valid"),
            _ if self.pads.iter().all(|pads| *pads == [0, 0]) => Some("valid"),
            _ if (0..extents.len()).all(same) => Some("same"),
            _ => None,
        }
    }

    /// The number of windows along an axis.
    fn count(&self, axis: usize, extent: Option<usize>, padding: &str) -> Result<Option<usize>> {
        let (reach, stride) = (self.reach(axis), self.strides[axis]);
        match (extent, padding) {
            (None, _) => Ok(None),
            (Some(extent), "same") => Ok(Some(extent.div_ceil(stride))),
            (Some(extent), _) if extent >= reach => Ok(Some((extent - reach) / stride + 1)),
            _ => refuse("a window that is larger than the data"),
        }
    }
}

impl Import<'_> {
    /// Calls a layer of windows on x, `[B, C, A1, .., AN]` in ONNX's order, and returns its result
    /// with `channels` channels, or those of x.
    fn windowed(
        &mut self,
        x: &View,
        windows: &Windows,
        (class, mut config): (&'static str, Json),
        (channels, weights): (Option<usize>, Vec<rnn_core::HostTensor>),
        fills: bool,
    ) -> Result<View> {
        let axes = windows.size.len();
        if x.axes.len() != axes + 2 {
            return refuse(format!("data of {} axes and windows of {axes}", x.axes.len()));
        }
        let mut x = x.clone();
        let extents = |x: &View| -> Vec<Option<usize>> {
            x.axes[2..].iter().map(|axis| extent(axis)).collect()
        };
        let padding = match windows.padding(&extents(&x)) {
            Some(padding) => padding,
            None if fills && windows.auto == "NOTSET" => {
                for (axis, &ends) in windows.pads.iter().enumerate() {
                    if ends != [0, 0] {
                        x = self.padded(&x, axis + 2, ends)?;
                    }
                }
                "valid"
            }
            None => return refuse("padding that is neither none nor Keras's \"same\""),
        };
        config["padding"] = json!(padding);
        let (source, mut own) = self.with_last(&x, 1)?;
        let steps = x.canonical()?.1;
        let source = match steps {
            true => {
                let inner = json!({"class_name": class, "config": config});
                self.layer("TimeDistributed", json!({"layer": inner}), vec![source], weights)?
            }
            false => self.layer(class, config, vec![source], weights)?,
        };
        let mut made = x.axes.clone();
        let first = usize::from(steps);
        for (axis, extent) in extents(&x).into_iter().enumerate() {
            let count = windows.count(axis, extent, padding)?;
            let all = self.axis(count);
            made[axis + 2].clone_from(&all);
            own[first + axis] = all;
        }
        if let Some(channels) = channels {
            let all = self.axis(Some(channels));
            made[1].clone_from(&all);
            own.pop();
            own.push(all);
        }
        Ok(View { source, own, axes: made })
    }

    pub(super) fn conv(&mut self, node: &OnnxNode) -> Result<Value> {
        let x = self.view(node, 0)?;
        let (dims, values) = self.floats(node, 1)?;
        let [filters, channels, size @ ..] = &dims[..] else {
            return refuse("a kernel of no axes");
        };
        let groups = int(node, "group", 1);
        let class = match size.len() {
            1 => "Conv1D",
            2 => "Conv2D",
            3 => "Conv3D",
            n => return refuse(format!("windows over {n} axes")),
        };
        let given = x.axes.get(1).and_then(|axis| extent(axis));
        if given != usize::try_from(groups).ok().and_then(|groups| channels.checked_mul(groups)) {
            return refuse(format!("a kernel for {channels} channels of each of {groups} groups"));
        }
        let windows = Windows::of(node, size.to_vec())?;
        let order: Vec<usize> = (2..dims.len()).chain([1, 0]).collect();
        let mut weights = vec![transposed(&dims, values, &order)?];
        let biased = self.optional(node, 2)?.is_some();
        if biased {
            weights.push(weight([*filters], self.floats(node, 2)?.1)?);
        }
        let mut config = json!({"filters": filters, "kernel_size": windows.size,
            "strides": windows.strides, "dilation_rate": windows.dilations, "use_bias": biased});
        if groups != 1 {
            config["groups"] = json!(groups);
        }
        self.windowed(&x, &windows, (class, config), (Some(*filters), weights), true)
            .map(Value::View)
    }

    pub(super) fn pool(&mut self, node: &OnnxNode) -> Result<Value> {
        let x = self.view(node, 0)?;
        let size = list(node, "kernel_shape").unwrap_or_default();
        let size = size.iter().map(|&n| usize::try_from(n).unwrap_or(0)).collect();
        let windows = Windows::of(node, size)?;
        let max = node.operator == "MaxPool";
        let class = match (max, windows.size.len()) {
            (true, 1) => "MaxPooling1D",
            (true, 2) => "MaxPooling2D",
            (true, 3) => "MaxPooling3D",
            (false, 1) => "AveragePooling1D",
            (false, 2) => "AveragePooling2D",
            (false, 3) => "AveragePooling3D",
            (_, n) => return refuse(format!("windows over {n} axes")),
        };
        if windows.dilations.iter().any(|&n| n != 1) {
            return refuse("windows with gaps");
        }
        if int(node, "ceil_mode", 0) != 0 {
            let whole = |axis: usize| {
                let all = x.axes.get(axis + 2).and_then(|axis| extent(axis));
                let [ahead, behind] = windows.pads[axis];
                let padded = all.map(|n| n + ahead + behind);
                let rest = padded.and_then(|n| n.checked_sub(windows.size[axis]));
                rest.is_some_and(|rest| rest % windows.strides[axis] == 0)
            };
            if !(0..windows.size.len()).all(whole) {
                return refuse("a window over the end (ceil_mode)");
            }
        }
        let padded = windows.pads.iter().any(|pads| *pads != [0, 0]);
        let counts = !max && padded && int(node, "count_include_pad", 0) != 0;
        let config = json!({"pool_size": windows.size, "strides": windows.strides});
        if counts {
            // Zeros that count are as good as data.
            let mut x = x;
            for (axis, &ends) in windows.pads.iter().enumerate() {
                if ends != [0, 0] {
                    x = self.padded(&x, axis + 2, ends)?;
                }
            }
            let pads = vec![[0, 0]; windows.size.len()];
            let windows = Windows { pads, ..windows };
            return self
                .windowed(&x, &windows, (class, config), (None, vec![]), false)
                .map(Value::View);
        }
        self.windowed(&x, &windows, (class, config), (None, vec![]), false).map(Value::View)
    }

    /// The mean, the largest element or the sum along axes.
    pub(super) fn reduce(&mut self, node: &OnnxNode) -> Result<Value> {
        let x = self.view(node, 0)?;
        let rank = x.axes.len();
        let axes = match node.operator.starts_with("Global") {
            true => Some((2..rank as i64).collect()),
            false => self.ints(node, 1, "axes")?,
        };
        let Some(axes) = axes else { return refuse("over all axes") };
        let axes = axes.iter().map(|&axis| axis_of(axis, rank)).collect::<Result<Vec<_>>>()?;
        let keeps = node.operator.starts_with("Global") || int(node, "keepdims", 1) != 0;
        let (own, steps) = x.canonical()?;
        if steps {
            return refuse("of each step by itself");
        }
        let places = axes.iter().map(|&axis| x.place(axis)).collect::<Result<Vec<_>>>()?;
        let part = |inside: bool| -> Axis {
            let chosen = own.iter().enumerate().filter(|(i, _)| places.contains(i) == inside);
            chosen.flat_map(|(_, axis)| axis.clone()).collect()
        };
        let (along, rest) = (part(true), part(false));
        let source = self.arranged(&x, &[along.clone(), rest.clone()])?;
        let max = node.operator.ends_with("MaxPool") || node.operator == "ReduceMax";
        let class = if max { "GlobalMaxPooling1D" } else { "GlobalAveragePooling1D" };
        let mut source = self.layer(class, json!({}), vec![source], vec![])?;
        if node.operator == "ReduceSum" {
            let Some(count) = extent(&along) else { return refuse("a sum along an open axis") };
            let config = json!({"scale": count as f32});
            source = self.layer("Rescaling", config, vec![source], vec![])?;
        }
        let mut left = x.axes.clone();
        for (axis, all) in left.iter_mut().enumerate() {
            if axes.contains(&axis) {
                all.clear();
            }
        }
        if !keeps {
            let mut axis = 0;
            left.retain(|_| {
                axis += 1;
                !axes.contains(&(axis - 1))
            });
        }
        Ok(Value::View(View { source, own: vec![rest], axes: left }))
    }
}
