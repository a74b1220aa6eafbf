//! Launches of step.wgsl: one time step of a cell.

use crate::recurrent::Extents;
use rnn_graph::{Grid, Launch, LaunchVariant, OpError, Shader, iterations};
use rnn_shaders::constant;
use rnn_shaders::recurrent::STEP_PRODUCT;
use std::ops::Range;

/// Columns of a step product's tile.
const COLUMNS: usize = constant(STEP_PRODUCT, "COLUMNS");
/// Terms of a step product's slice.
const SLICE: usize = constant(STEP_PRODUCT, "SLICE");

/// Launch parameters of one time step of a cell; see step_product.wgsl.
pub struct Step {
    /// The WGSL module.
    pub shader: &'static Shader,
    /// Steps, batch items and hidden units. An item has one row per pixel.
    pub extents: Extents,
    /// Number of rows: one per item, or in a convolutional cell one per pixel of all items.
    pub rows: usize,
    /// Terms of each sum: hidden units times the taps of a window.
    pub terms: usize,
    /// True if the kernel of the backward pass reads U transposed, false if it reads U.
    pub transposed: bool,
}

/// Loop iterations in which a thread clears or stores its block of 4 x 4.
const AROUND: u64 = iterations(4, iterations(4, 0)) + iterations(4, 0);

impl Step {
    /// Returns the parameters of a dense cell, which has one row per item and one tap.
    pub fn dense(shader: &'static Shader, extents: Extents) -> Self {
        let Extents { batch, hidden, .. } = extents;
        Self { shader, extents, rows: batch, terms: hidden, transposed: true }
    }

    /// Returns a launch of the forward pass for step `step`, counted from 0, and for the gates with
    /// indices in `gates`. `dropout` is true if each gate multiplies h by dropout factors of its
    /// own.
    ///
    /// # Errors
    /// Fails with [`OpError::Limit`] if the grid exceeds WebGPU's limits.
    pub fn forward(
        &self,
        gates: Range<usize>,
        step: usize,
        dropout: bool,
    ) -> Result<Launch, OpError> {
        // The tile's 64 columns are units of a single gate, or divided among four gates.
        let units = if gates.len() == 1 { COLUMNS } else { COLUMNS / 4 };
        let (hidden_copies, depth) =
            if dropout && gates.len() > 1 { (4u32, 8u32) } else { (1, 16) };
        let launch = self.launch("forward", units, gates, step)?;
        let (hidden_copies, depth) = (hidden_copies as usize, depth as usize);
        // Loops: each of `depth / 4` rows is stored in all copies of h; at least 64 threads load a
        // slice's weights; the terms are summed.
        let slice = iterations(depth / 4, iterations(hidden_copies, 0)) + 2 * iterations(depth, 0);
        let most = iterations(self.terms.div_ceil(depth), slice) + AROUND;
        Ok(launch
            .constant("HIDDEN_COPIES", hidden_copies as u32)
            .constant("DEPTH", depth as u32)
            .iterations(most))
    }

    /// Returns a launch of the backward pass, in which gradients flow from the gates with indices
    /// in `gates` at step `step`, counted from 0, to the state before that step. The backward pass
    /// begins with `step` equal to the number of steps, where no gates are; 0 yields the gradient
    /// of the initial state.
    ///
    /// # Errors
    /// Fails with [`OpError::Limit`] if the grid exceeds WebGPU's limits.
    pub fn backward(&self, gates: Range<usize>, step: usize) -> Result<Launch, OpError> {
        let slice = iterations(4, 0) + 2 * iterations(SLICE, 0);
        let gate = iterations(self.terms.div_ceil(SLICE), slice) + AROUND;
        let most = iterations(gates.len(), gate) + AROUND;
        let launch = self.launch("backward", COLUMNS, gates, step)?;
        Ok(launch.constant("TRANSPOSED", u8::from(self.transposed)).iterations(most))
    }

    fn launch(
        &self,
        entry: &'static str,
        units: usize,
        gates: Range<usize>,
        step: usize,
    ) -> Result<Launch, OpError> {
        let Extents { steps, batch, hidden } = self.extents;
        // Fewer rows per workgroup occupy more processors.
        let [usual, half, quarter] =
            [16, 8, 4].map(|threads| self.variant(threads, hidden.div_ceil(units)));
        let launch = Launch::new(self.shader, entry, usual?.grid);
        Ok([half?, quarter?]
            .into_iter()
            .fold(launch, Launch::or)
            .constant("HIDDEN", hidden as u32)
            .constant("FIRST_GATE", gates.start as u32)
            .constant("GATE_COUNT", gates.len() as u32)
            .param("terms", 0u32)
            .param("first_tile", 0u32)
            .param("items", batch)
            .param("steps", steps)
            .param("step", step)
            .param("end", step + 1))
    }

    /// Returns the variant with `row_threads` threads down a tile, each of which computes four
    /// rows; see step_product.wgsl.
    fn variant(&self, row_threads: usize, columns: usize) -> Result<LaunchVariant, OpError> {
        let grid = Grid::new(columns, self.rows.div_ceil(4 * row_threads), 1)?;
        let constants = vec![("ROW_THREADS", row_threads as f64)];
        Ok(LaunchVariant { shader: self.shader, constants, grid })
    }
}
