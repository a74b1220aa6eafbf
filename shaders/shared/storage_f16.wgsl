// Elem, the element type of sequences in memory: half precision. Kernels compute in f32 and round
// when they store.
enable f16;
alias Elem = f16;
