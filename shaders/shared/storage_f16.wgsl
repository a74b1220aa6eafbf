// Sequences lie in memory in half precision, and are computed with in single precision.
enable f16;
alias Elem = f16;
