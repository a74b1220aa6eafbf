"""check_onnx.py FOLDER: onnxruntime predicts as the model that was exported.

The folder holds <case>.onnx, and for each its inputs <case>.in.<name>.npy and the outputs that are
expected, <case>.out.<number>.npy. Prints the largest difference of each case.
"""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime

TOLERANCE = 1e-5

folder = pathlib.Path(sys.argv[1])
cases = sorted(folder.glob("*.onnx"))
failed = []
for path in cases:
    case = path.stem
    try:
        onnx.checker.check_model(str(path), full_check=True)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        feed = {}
        for value in session.get_inputs():
            array = np.load(folder / f"{case}.in.{value.name}.npy")
            feed[value.name] = array.astype(np.int32) if "int32" in value.type else array
        worst = 0.0
        for number, got in enumerate(session.run(None, feed)):
            want = np.load(folder / f"{case}.out.{number}.npy")
            assert got.shape == want.shape, f"{got.shape} instead of {want.shape}"
            assert np.isfinite(got).all(), "a result is not finite"
            if not case.startswith("random_"):
                assert want.any(), "all results are zero, which proves nothing"
            # Sums of large numbers are rounded as these are.
            scale = max(1.0, float(np.max(np.abs(want), initial=0.0)))
            worst = max(worst, float(np.max(np.abs(got - want), initial=0.0)) / scale)
        assert worst <= TOLERANCE, f"differs by {worst}"
        print(f"{case}: {worst:.1e}")
    except Exception as error:
        failed.append(f"{case}: {error}")
print(f"{len(cases) - len(failed)} of {len(cases)} models agree to {TOLERANCE}")
sys.exit("\n".join(failed) or 0)
