"""Writes the models in files/onnx that PyTorch exports, each beside NAME.npz: what it is fed, and what
onnxruntime makes of it. Arrays have the batch first, as here. Needs torch, onnxscript, onnxruntime.

`NAME.onnx` is of the exporter by torch.export, `NAME_script.onnx` of that by TorchScript, `.._any.onnx`
takes any batch and length. `NAME.safetensors` holds the weights of some as a state dict.
"""

import logging
import pathlib
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.torch import save_file
from torch import nn

FOLDER = pathlib.Path(__file__).parent / "files" / "onnx"
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)


class Last(nn.Module):
    """Words, two layers in both directions, the last step of the output."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 4)
        self.lstm = nn.LSTM(4, 3, num_layers=2, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(6, 2)

    def forward(self, x):
        return self.fc(self.lstm(self.embedding(x))[0][:, -1, :])


class Hidden(nn.Module):
    """Time first, the final states of both directions."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(4, 3, num_layers=2, bidirectional=True)
        self.norm = nn.LayerNorm(6)
        self.fc = nn.Linear(6, 2)

    def forward(self, x):
        _, h = self.gru(x)
        return torch.softmax(self.fc(self.norm(torch.cat((h[-2], h[-1]), 1))), -1)


class Pictures(nn.Module):
    """Convolutions, then a recurrence over what they see; two outputs."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 3, padding=1)
        self.norm = nn.BatchNorm1d(6)
        self.rnn = nn.RNN(6, 5, batch_first=True, nonlinearity="relu")
        self.fc = nn.Linear(5, 2)

    def forward(self, x):
        z = torch.max_pool1d(torch.relu(self.norm(self.conv(x))), 2).transpose(1, 2)
        y, h = self.rnn(z)
        return nn.functional.gelu(self.fc(h.squeeze(0))), self.fc(y).mean(1)


class Forecast(nn.Module):
    """A sequence for a sequence, with a residual, from given states."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 3, batch_first=True)
        self.fc = nn.Linear(3, 3)

    def forward(self, x, h, c):
        y, (h, c) = self.lstm(x, (h, c))
        y = x + torch.sigmoid(self.fc(y)) * 2.0
        return y, h, c


class Frames(nn.Module):
    """A convolution of each frame, flattened, then an LSTM, the last step."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, stride=2)
        self.lstm = nn.LSTM(8, 4, batch_first=True)
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        b, t = x.shape[0], x.shape[1]
        z = nn.functional.avg_pool2d(torch.tanh(self.conv(x.flatten(0, 1))), 2)
        y, _ = self.lstm(z.reshape(b, t, -1))
        return self.fc(y[:, -1])


class Attention(nn.Module):
    """Scores of each step, and the weighted sum of the steps."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=True)
        self.score = nn.Linear(4, 1)
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        y, _ = self.gru(x)
        weights = torch.softmax(self.score(y), dim=1)
        return self.fc((weights * y).sum(1)), self.fc(torch.bmm(weights.transpose(1, 2), y).squeeze(1))


def export(name, model, inputs, axes, order=None):
    """`axes` are those of each input that may vary, `order` the axis of the batch of each array."""
    model.eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
        for key, buffer in model.named_buffers():
            if key.endswith(("running_mean", "running_var")):
                buffer.copy_(torch.rand_like(buffer) + 0.5)
    if name in ("last", "hidden", "pictures"):
        save_file(model.state_dict(), FOLDER / f"{name}.safetensors")
    names = [f"in{i}" for i in range(len(inputs))]
    varying = {n: {a: f"{n}_{a}" if a not in (0,) else "batch" for a in ax} for n, ax in zip(names, axes)}
    for form, dynamo, any_size in (("", True, False), ("_script", False, False), ("_any", False, True)):
        path = FOLDER / f"{name}{form}.onnx"
        torch.onnx.export(
            model, tuple(inputs), path, dynamo=dynamo, input_names=names, external_data=False,
            dynamic_axes=varying if any_size else None, verbose=False,
        )
        proto = onnx.load(path)
        for node in proto.graph.node:
            node.ClearField("metadata_props")
            node.doc_string = ""
        proto.graph.ClearField("metadata_props")
        for value in [*proto.graph.value_info]:
            proto.graph.value_info.remove(value)
        onnx.save(proto, path)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        feed = {v.name: x.numpy() for v, x in zip(session.get_inputs(), inputs)}
        made = session.run(None, feed)
        first = order or [0] * (len(inputs) + len(made))
        arrays = {f"input_{i}": np.moveaxis(x.numpy(), first[i], 0) for i, x in enumerate(inputs)}
        for i, y in enumerate(made):
            arrays[f"output_{i}"] = np.moveaxis(y, first[len(inputs) + i], 0)
        np.savez(FOLDER / f"{name}{form}.npz", **arrays)


FOLDER.mkdir(parents=True, exist_ok=True)
torch.manual_seed(1)
export("last", Last(), [torch.randint(0, 9, (2, 5))], [[0, 1]])
proto = onnx.load(FOLDER / "last.onnx")
save = {"save_as_external_data": True, "location": "outside.onnx.data", "size_threshold": 0}
onnx.save(proto, FOLDER / "outside.onnx", **save)
(FOLDER / "outside.npz").write_bytes((FOLDER / "last.npz").read_bytes())
export("hidden", Hidden(), [torch.randn(5, 2, 4)], [[1]], [1, 0])
export("pictures", Pictures(), [torch.randn(2, 4, 8)], [[0]])
states = [torch.randn(1, 2, 3) for _ in "hc"]
export("forecast", Forecast(), [torch.randn(2, 4, 3), *states], [[0, 1], [1], [1]], [0, 1, 1, 0, 1, 1])
export("frames", Frames(), [torch.randn(2, 3, 1, 10, 10)], [[0]])
export("attention", Attention(), [torch.randn(2, 5, 3)], [[0]])
