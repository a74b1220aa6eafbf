//! Zeros around elements, and elements that are repeated.

use super::super::Result;
use super::value::{Value, View, axis_of, extent, refuse};
use super::{Import, float, text};
use rnn_formats::onnx::OnnxNode;
use serde_json::json;

impl Import<'_> {
    pub(super) fn pad(&mut self, node: &OnnxNode) -> Result<Value> {
        let view = self.view(node, 0)?;
        let zero = match self.optional(node, 2)? {
            Some(_) => self.floats(node, 2)?.1.first() == Some(&0.0),
            None => float(node, "value", 0.0) == 0.0,
        };
        let Some(pads) = self.ints(node, 1, "pads")? else { return refuse("no extents") };
        let rank = view.axes.len();
        if !zero || text(node, "mode", "constant") != "constant" {
            return refuse("padding with something else than zeros");
        }
        let axes: Vec<usize> = match self.ints(node, 3, "axes")? {
            Some(axes) => axes.iter().map(|&a| axis_of(a, rank)).collect::<Result<_>>()?,
            None => (0..rank).collect(),
        };
        let mut view = view;
        for (i, &axis) in axes.iter().enumerate() {
            let ends = [pads.get(i), pads.get(i + axes.len())];
            let [Some(&ahead), Some(&behind)] = ends else { return refuse("too few extents") };
            let ends = [usize::try_from(ahead), usize::try_from(behind)];
            let [Ok(ahead), Ok(behind)] = ends else { return refuse("a negative padding") };
            if ahead > 0 || behind > 0 {
                view = self.padded(&view, axis, [ahead, behind])?;
            }
        }
        Ok(Value::View(view))
    }

    /// The view with zeros before and behind the elements of an axis.
    pub(super) fn padded(&mut self, view: &View, axis: usize, ends: [usize; 2]) -> Result<View> {
        let (mut own, place) = (view.canonical()?.0, view.place(axis)?);
        let along = own.remove(place);
        let rest = own.concat();
        let source = self.arranged(view, &[along.clone(), rest.clone()])?;
        let config = json!({"padding": ends});
        let source = self.layer("ZeroPadding1D", config, vec![source], vec![])?;
        let padded = self.axis(extent(&along).map(|n| n + ends[0] + ends[1]));
        let mut axes = view.axes.clone();
        axes[axis].clone_from(&padded);
        Ok(View { source, own: vec![padded, rest], axes })
    }

    /// The view with each element of an axis repeated, the copies side by side.
    pub(super) fn repeated(
        &mut self,
        view: &View,
        axis: usize,
        times: Option<usize>,
    ) -> Result<View> {
        let Some(times) = times else { return refuse("data is repeated along an open axis") };
        let (own, place) = (view.canonical()?.0, view.place(axis)?);
        let (outer, inner) = (own[..place].concat(), own[place + 1..].concat());
        let rows = [&outer[..], &own[place]].concat();
        let source = self.arranged(view, &[rows, inner.clone()])?;
        let config = json!({"size": times});
        let source = self.layer("UpSampling1D", config, vec![source], vec![])?;
        let all = self.axis(extent(&own[place]).and_then(|n| n.checked_mul(times)));
        let mut axes = view.axes.clone();
        axes[axis].clone_from(&all);
        Ok(View { source, own: vec![[&outer[..], &all].concat(), inner], axes })
    }
}
