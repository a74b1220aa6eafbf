use crate::{OpError, Shader};

/// A buffer of the node that is being recorded: a tensor of its [`Signature`](crate::Signature), or
/// a scratch buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// The input of that index, which the kernel reads.
    Input(usize),
    /// The update of that index, which the kernel changes in place.
    Update(usize),
    /// The output of that index, which the kernel writes.
    Output(usize),
    /// The scratch buffer of that index in [`Work::scratch`].
    Scratch(usize),
}

/// Value of one uniform parameter, of the type that the kernel's `params` struct declares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ParamValue {
    /// Value of a `u32` member.
    U32(u32),
    /// Value of an `f32` member.
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

/// Number of workgroups of a launch along x, y and z, in this order, each from 1 to
/// [`Grid::MAX_PER_AXIS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid(pub [u32; 3]);

impl Grid {
    /// Maximum number of workgroups along each axis, which WebGPU guarantees on every adapter.
    pub const MAX_PER_AXIS: u32 = 65_535;

    /// Returns a grid of at least `groups` workgroups along x, or along x and y if one axis cannot
    /// hold them. The kernel computes its workgroup index as `workgroup_id.x + workgroup_id.y *
    /// num_workgroups.x`, and workgroups from index `groups` on must do nothing.
    ///
    /// # Errors
    /// Fails with [`OpError::Limit`] if `groups` exceeds [`Grid::MAX_PER_AXIS`] squared.
    pub fn cover(groups: usize) -> Result<Self, OpError> {
        let max = Self::MAX_PER_AXIS as usize;
        let y = groups.div_ceil(max).max(1);
        if y > max {
            return Err(OpError::Limit(format!("{groups} workgroups exceed {max} x {max}")));
        }
        Ok(Self([groups.div_ceil(y).max(1) as u32, y as u32, 1]))
    }

    /// Returns a grid of `x * y * z` workgroups; an extent of 0 counts as 1.
    ///
    /// # Errors
    /// Fails with [`OpError::Limit`] if one axis exceeds [`Grid::MAX_PER_AXIS`].
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

/// A variant of a launch: another tile size or workgroup shape, with the same bindings, parameters
/// and entry point.
///
/// It must compute the same bits as the launch: each element is computed by one thread, which adds
/// the same terms in the same order. The device measures which variant is fastest.
#[derive(Clone, Debug)]
pub struct LaunchVariant {
    /// The WGSL module.
    pub shader: &'static Shader,
    /// Values of `override` constants, which replace or extend those of the launch.
    pub constants: Vec<(&'static str, f64)>,
    /// Number of workgroups.
    pub grid: Grid,
}

/// One kernel launch of a node, with operands named by their index in the node's signature.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The WGSL module.
    pub shader: &'static Shader,
    /// Name of the entry point in the module.
    pub entry: &'static str,
    /// Values of `override` constants by name.
    pub constants: Vec<(&'static str, f64)>,
    /// Bound buffers, by the name of the WGSL variable.
    pub bindings: Vec<(&'static str, Operand)>,
    /// Uniform parameters, by the name of the struct member.
    pub params: Vec<(&'static str, ParamValue)>,
    /// Number of workgroups.
    pub grid: Grid,
    /// Upper bound on the loop iterations of one thread, over all its loops, in any variant; see
    /// [`iterations`](crate::iterations). Required if the entry point has a loop.
    pub iterations: Option<u64>,
    /// Other launches that compute the same bits; a device may run one of them instead.
    pub variants: Vec<LaunchVariant>,
}

impl Launch {
    /// Creates a launch of the entry point `entry` of the module `shader` over `grid`, without
    /// bindings, parameters, constants, variants and a bound on iterations.
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

    /// Sets the upper bound `most` on the loop iterations of one thread, over all its loops and in
    /// any variant; see [`iterations`](crate::iterations). It is required if the entry point has a
    /// loop.
    pub fn iterations(mut self, most: u64) -> Self {
        self.iterations = Some(most);
        self
    }

    /// Adds a variant that computes the same bits. The device may run it instead of this launch if
    /// it measures it as faster.
    pub fn or(mut self, variant: LaunchVariant) -> Self {
        self.variants.push(variant);
        self
    }

    /// Iterates over the variants, without this launch itself. Each variant comes with its full
    /// list of constants: those of this launch, replaced or extended by its own.
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

    /// Sets the value of the WGSL `override` constant of that name. A constant that is not set has
    /// the shader's default. Call it once for a name.
    pub fn constant(mut self, name: &'static str, value: impl Into<f64>) -> Self {
        self.constants.push((name, value.into()));
        self
    }

    /// Binds a buffer to the WGSL variable `name`. Call it once for a name; the recorder uses the
    /// first binding.
    ///
    /// A bound range begins at a multiple of [`Binding::ALIGNMENT`](crate::Binding::ALIGNMENT)
    /// words. If the kernel's parameters have a member `<name>_offset`, it receives the index of
    /// the operand's first element in that range.
    pub fn bind(mut self, name: &'static str, operand: Operand) -> Self {
        self.bindings.push((name, operand));
        self
    }

    /// Lets [`Recording::divide`](crate::Recording::divide) divide the grid along y and z. The kernel must
    /// have the parameters `first_tile` and `first_part`, which it adds to its workgroup's place along y
    /// and z, and it must not ask for the number of workgroups.
    pub fn divisible(self) -> Self {
        self.param("first_tile", 0u32).param("first_part", 0u32)
    }

    /// Sets the member of that name of the uniform `params` struct. Call it once for a name. One that sets
    /// `first_tile` alone is [divisible](Self::divisible) along y alone.
    pub fn param(mut self, name: &'static str, value: impl Into<ParamValue>) -> Self {
        self.params.push((name, value.into()));
        self
    }
}

/// The launches and scratch buffers of one node, as [`Op::record`](crate::Op::record) returns them.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// Lengths of the scratch buffers, in words of four bytes.
    pub scratch: Vec<usize>,
    /// The launches, in order of execution.
    pub launches: Vec<Launch>,
}

impl Work {
    /// Replaces each tensor that a launch binds by `operand(tensor)`, so that the work of an inner
    /// op becomes part of another node's work. Scratch buffers are kept.
    pub fn over(mut self, operand: impl Fn(Operand) -> Operand) -> Self {
        for (_, bound) in self.launches.iter_mut().flat_map(|launch| &mut launch.bindings) {
            if !matches!(bound, Operand::Scratch(_)) {
                *bound = operand(*bound);
            }
        }
        self
    }

    /// Appends the launches of `next`, to run after those of this work. Each work keeps its own
    /// scratch buffers.
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
