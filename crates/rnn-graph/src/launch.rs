use crate::{OpError, Shader};

/// A tensor of the node being recorded, by its place in the signature, or a scratch buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A tensor read.
    Input(usize),
    /// A tensor changed in place.
    Update(usize),
    /// A tensor written.
    Output(usize),
    /// One of [`Work::scratch`].
    Scratch(usize),
}

/// The value of one uniform parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ParamValue {
    /// For a `u32` member.
    U32(u32),
    /// For an `f32` member.
    F32(f32),
}

impl From<u32> for ParamValue {
    fn from(value: u32) -> Self {
        Self::U32(value)
    }
}

impl From<usize> for ParamValue {
    /// Sizes are checked against the device's limits before a launch; see `Recording::validate`.
    fn from(value: usize) -> Self {
        Self::U32(value as u32)
    }
}

impl From<f32> for ParamValue {
    fn from(value: f32) -> Self {
        Self::F32(value)
    }
}

/// How many workgroups to start on each axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid(pub [u32; 3]);

impl Grid {
    /// WebGPU's limit on every axis.
    pub const MAX_PER_AXIS: u32 = 65_535;

    /// At least `groups` workgroups, folded over x and y where they exceed one axis. The kernel
    /// numbers them `id.x + id.y * count.x` and ignores the surplus.
    pub fn cover(groups: usize) -> Result<Self, OpError> {
        let max = Self::MAX_PER_AXIS as usize;
        let y = groups.div_ceil(max).max(1);
        if y > max {
            return Err(OpError::Limit(format!("{groups} workgroups exceed {max} x {max}")));
        }
        Ok(Self([groups.div_ceil(y).max(1) as u32, y as u32, 1]))
    }

    /// Workgroups by axis, checked against the limit.
    pub fn new(x: usize, y: usize, z: usize) -> Result<Self, OpError> {
        let max = Self::MAX_PER_AXIS as usize;
        if x.max(y).max(z) > max {
            return Err(OpError::Limit(format!(
                "{x} x {y} x {z} workgroups exceed {max} on an axis"
            )));
        }
        Ok(Self([x, y, z].map(|n| n.max(1) as u32)))
    }
}

/// A variant of a launch: another tile size or workgroup shape, with the same bindings, parameters and
/// entry point. It computes the same bits, as each element is the work of one thread, in the same
/// order. Which variant is fastest only a device can tell.
#[derive(Clone, Debug)]
pub struct LaunchVariant {
    /// The module.
    pub shader: &'static Shader,
    /// Values of `override` constants beside the launch's own, or in their place.
    pub constants: Vec<(&'static str, f64)>,
    /// Workgroups.
    pub grid: Grid,
}

/// One kernel launch, its tensors still named by their place in the node.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The module.
    pub shader: &'static Shader,
    /// The entry point in it.
    pub entry: &'static str,
    /// Values of `override` constants.
    pub constants: Vec<(&'static str, f64)>,
    /// Tensors by the name of the WGSL variable.
    pub bindings: Vec<(&'static str, Operand)>,
    /// Uniform parameters by the name of the member.
    pub params: Vec<(&'static str, ParamValue)>,
    /// Workgroups.
    pub grid: Grid,
    /// Iterations of all loops of one thread together, at most, in any variant.
    /// Must be given where the entry point has a loop.
    pub iterations: Option<u64>,
    /// Other launches that a device may run in its place.
    pub variants: Vec<LaunchVariant>,
}

impl Launch {
    /// A launch of `entry` over `grid`.
    pub fn new(shader: &'static Shader, entry: &'static str, grid: Grid) -> Self {
        Self {
            shader,
            entry,
            constants: vec![],
            bindings: vec![],
            params: vec![],
            grid,
            iterations: None,
            variants: vec![],
        }
    }

    /// States how many iterations the loops of one thread make together, at most; see
    /// [`iterations`](crate::iterations).
    pub fn iterations(mut self, most: u64) -> Self {
        self.iterations = Some(most);
        self
    }

    /// Adds a variant.
    pub fn or(mut self, variant: LaunchVariant) -> Self {
        self.variants.push(variant);
        self
    }

    /// The variants, each with all its constants.
    pub fn variants(&self) -> impl Iterator<Item = LaunchVariant> {
        self.variants.iter().map(|other| {
            let kept = self
                .constants
                .iter()
                .filter(|(name, _)| other.constants.iter().all(|(replaced, _)| replaced != name));
            let constants = kept.chain(&other.constants).copied().collect();
            LaunchVariant { constants, ..other.clone() }
        })
    }

    /// Sets an `override` constant.
    pub fn constant(mut self, name: &'static str, value: impl Into<f64>) -> Self {
        self.constants.push((name, value.into()));
        self
    }

    /// Binds a tensor. A member `<name>_offset` of the parameters, where there is one, receives
    /// the element at which a view starts.
    pub fn bind(mut self, name: &'static str, operand: Operand) -> Self {
        self.bindings.push((name, operand));
        self
    }

    /// Sets a uniform parameter.
    pub fn param(mut self, name: &'static str, value: impl Into<ParamValue>) -> Self {
        self.params.push((name, value.into()));
        self
    }
}

/// Everything that one node launches.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// Temporary buffers, in words of four bytes.
    pub scratch: Vec<usize>,
    /// Launches in order.
    pub launches: Vec<Launch>,
}

impl Work {
    /// The same over other tensors, as part of the work of another node.
    pub fn over(mut self, operand: impl Fn(Operand) -> Operand) -> Self {
        for (_, bound) in self.launches.iter_mut().flat_map(|launch| &mut launch.bindings) {
            if !matches!(bound, Operand::Scratch(_)) {
                *bound = operand(*bound);
            }
        }
        self
    }

    /// First this, then the other, each with its own temporary buffers.
    pub fn then(mut self, mut next: Self) -> Self {
        for (_, bound) in next.launches.iter_mut().flat_map(|launch| &mut launch.bindings) {
            if let Operand::Scratch(at) = bound {
                *at += self.scratch.len();
            }
        }
        self.scratch.append(&mut next.scratch);
        self.launches.append(&mut next.launches);
        self
    }
}

impl From<Launch> for Work {
    fn from(launch: Launch) -> Self {
        Self { scratch: vec![], launches: vec![launch] }
    }
}

impl From<Vec<Launch>> for Work {
    fn from(launches: Vec<Launch>) -> Self {
        Self { scratch: vec![], launches }
    }
}
