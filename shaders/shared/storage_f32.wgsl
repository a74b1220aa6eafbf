// Sequences lie in memory as they are computed with.
alias Elem = f32;
