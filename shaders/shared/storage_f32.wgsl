// Elem, the element type of sequences in memory: single precision.
alias Elem = f32;
