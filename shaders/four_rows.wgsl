// Batch rows to a workgroup of a scan.
const ROWS = 4u;
