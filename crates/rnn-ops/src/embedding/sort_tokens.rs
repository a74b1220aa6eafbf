use crate::common::{THREADS, arity, ensure, threads};
use crate::{Case, Definition, Sample};
use rnn_core::DType;
use rnn_graph::{
    Cost, Grid, Io, Launch, Limits, Op, OpError, Operand, Real, Shader, Signature, TensorType,
    Work, iterations,
};

/// WGSL module of [`SortTokens`] (`shaders/embedding/sort_tokens.wgsl`).
pub static SHADER: Shader = Shader::new(
    "sort_tokens",
    &[rnn_shaders::shared::ELEMENTWISE, rnn_shaders::embedding::SORT_TOKENS],
);

/// Positions per block of the counting sort.
const BLOCK: usize = rnn_shaders::constant(rnn_shaders::embedding::SORT_TOKENS, "BLOCK");

/// Groups the positions of a sequence of tokens by token. `order` lists the positions of token 0 in
/// ascending order, then the positions of token 1, and so on. The positions of token v are
/// `order[starts[v]..starts[v + 1]]`.
///
/// Input: N tokens, u32 of any shape. Outputs: order u32 `[N]`, starts u32 `[vocabulary + 1]`.
#[derive(Clone, Debug)]
pub struct SortTokens {
    /// The number of different tokens. Each token must be below this number; the caller checks
    /// that.
    pub vocabulary: usize,
}

impl Definition for SortTokens {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let tokens = io.uints(0);
        let [order, starts] = io.uint_outputs();
        let mut positions: Vec<u32> = (0..tokens.len() as u32).collect();
        positions.sort_by_key(|&p| tokens[p as usize]);
        order.copy_from_slice(&positions);
        for (token, start) in starts.iter_mut().enumerate() {
            *start = order.partition_point(|&p| (tokens[p as usize] as usize) < token) as u32;
        }
    }
}

impl Op for SortTokens {
    fn name(&self) -> &'static str {
        "sort_tokens"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [tokens] = arity(inputs)?;
        ensure(tokens.dtype == DType::U32, || format!("tokens are {tokens}, not integers"))?;
        Ok(vec![TensorType::u32([tokens.len()]), TensorType::u32([self.vocabulary + 1])])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let (positions, vocabulary) = (s.inputs[0].len(), self.vocabulary);
        let blocks = positions.div_ceil(BLOCK);
        let (table, ranks, totals) =
            (Operand::Scratch(0), Operand::Scratch(1), Operand::Scratch(2));
        let (tokens, order, starts) = (Operand::Input(0), Operand::Output(0), Operand::Output(1));
        // `rank` loops over a block for each position of a thread; `scan` loops twice over a run of
        // tokens and once over the runs.
        let rank =
            iterations(BLOCK / THREADS, 0) + iterations(BLOCK / THREADS, 2 * BLOCK as u64 + 2);
        let scan = 2 * iterations(vocabulary.div_ceil(THREADS), 0) + iterations(THREADS, 0);
        let most = rank.max(scan).max(iterations(blocks, 0));
        let launch = |entry, grid: Grid| {
            Launch::new(&SHADER, entry, grid)
                .iterations(most)
                .param("count", blocks * vocabulary)
                .param("positions", positions)
                .param("vocabulary", vocabulary)
                .param("blocks", blocks)
        };
        let launches = vec![
            launch("clear", threads(blocks * vocabulary)?).bind("table", table),
            launch("rank", Grid::new(blocks, 1, 1)?)
                .bind("tokens", tokens)
                .bind("table", table)
                .bind("ranks", ranks),
            launch("offsets", threads(vocabulary)?).bind("table", table).bind("totals", totals),
            launch("scan", Grid::new(1, 1, 1)?).bind("totals", totals).bind("starts", starts),
            launch("place", threads(positions)?)
                .bind("tokens", tokens)
                .bind("table", table)
                .bind("ranks", ranks)
                .bind("starts", starts)
                .bind("order", order),
        ];
        Ok(Work { scratch: vec![blocks * vocabulary, positions, vocabulary], launches })
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: 0, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`SortTokens`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    [(1, 1), (7, 5), (1024, 300), (2500, 11), (1500, 1000)]
        .map(|(positions, vocabulary)| {
            let op = SortTokens { vocabulary };
            let tokens = Sample::Below(vec![positions], vocabulary as u32);
            Case::new(format!("sort tokens {positions} of {vocabulary}"), op, vec![tokens])
        })
        .into()
}
