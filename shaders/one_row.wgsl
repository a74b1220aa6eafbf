// Batch rows to a workgroup of a scan.
const ROWS = 1u;
