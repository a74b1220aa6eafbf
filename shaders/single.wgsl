// Sequences lie in memory as they are computed with.
alias Stored = f32;
