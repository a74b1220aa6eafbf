"""PyTorch: training steps or inference of the five experiments, timed.

nn.LSTM and nn.RNN where they can run (cuDNN on a GPU); a loop over the steps where recurrent
dropout or a ConvLSTM needs one. Denormals are flushed, as training on a CPU is several times
slower without.
"""

import contextlib

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from common import DROPOUT, FILTERS, LAYERS, PARAMETERS, UNITS, WORDS
from common import arguments, examples, measure

VARIANTS = ("plain", "compile", "channels-last", "tf32", "amp", "amp-compile")


class DropoutLSTM(nn.Module):
    """Keras's LSTM with dropout and recurrent dropout: factors of their own for each gate."""

    def __init__(self, features):
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(features, 4 * UNITS))
        self.recurrent = nn.Parameter(torch.empty(UNITS, 4 * UNITS))
        self.bias = nn.Parameter(torch.zeros(4 * UNITS))
        nn.init.xavier_uniform_(self.kernel)
        nn.init.orthogonal_(self.recurrent)

    def forward(self, x):
        batch, _, features = x.shape
        h = x.new_zeros(batch, UNITS)
        c = h
        keep = 1 - DROPOUT
        factors = x.new_empty(4, batch, features).bernoulli_(keep) / keep
        seen = x.new_empty(4, batch, UNITS).bernoulli_(keep) / keep
        kernels = self.kernel.view(features, 4, UNITS).transpose(0, 1)
        recurrent = self.recurrent.view(UNITS, 4, UNITS).transpose(0, 1)
        x = x.transpose(0, 1)
        z = torch.stack([(x * factors[g]) @ kernels[g] for g in range(4)], 2)
        z = z + self.bias.view(4, UNITS)
        # Indexing instead would make each step's gradient as large as all of z.
        for z in z.unbind(0):
            gates = z + torch.bmm(h * seen, recurrent).transpose(0, 1)
            h, c = self.cell(gates.reshape(batch, 4 * UNITS), c)
        return h

    @staticmethod
    def cell(z, c):
        i, f, g, o = z.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class Reviews(nn.Module):
    def __init__(self, experiment, training):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 32)
        self.conv = nn.Conv1d(32, 32, 3, padding=1) if experiment == "cnn-lstm" else None
        if experiment == "simple-rnn":
            self.rnn = nn.RNN(32, UNITS, batch_first=True)
        elif experiment == "lstm-dropout" and training:
            self.rnn = DropoutLSTM(32)
        else:
            self.rnn = nn.LSTM(32, UNITS, batch_first=True)
        self.dense = nn.Linear(UNITS, 1)

    def forward(self, tokens):
        x = self.embedding(tokens)
        if self.conv is not None:
            x = torch.relu(self.conv(x.transpose(1, 2)))
            x = nn.functional.max_pool1d(x, 2).transpose(1, 2)
        out = self.rnn(x)
        return self.dense(out[0][:, -1] if isinstance(out, tuple) else out)


class ConvLSTM(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.input = nn.Conv2d(channels, 4 * FILTERS, 3, padding=1)
        self.recurrent = nn.Conv2d(FILTERS, 4 * FILTERS, 3, padding=1, bias=False)

    def forward(self, x):
        batch, steps, channels, height, width = x.shape
        z = self.input(x.reshape(batch * steps, channels, height, width))
        z = z.view(batch, steps, 4 * FILTERS, height, width)
        h = c = None
        states = []
        for z in z.unbind(1):
            gates = z if h is None else z + self.recurrent(h)
            i, f, g, o = gates.chunk(4, 1)
            new = i.sigmoid() * g.tanh()
            c = new if c is None else f.sigmoid() * c + new
            h = o.sigmoid() * c.tanh()
            states.append(h)
        return torch.stack(states, 1)


class Films(nn.Module):
    def __init__(self):
        super().__init__()
        channels = [1] + [FILTERS] * (LAYERS - 1)
        self.layers = nn.ModuleList(ConvLSTM(c) for c in channels)
        norms = [nn.BatchNorm3d(FILTERS, eps=1e-3, momentum=0.01) for _ in channels]
        self.norms = nn.ModuleList(norms)
        self.predict = nn.Conv3d(FILTERS, 1, 3, padding=1)

    def forward(self, x):
        x = x.movedim(-1, 2)
        for layer, norm in zip(self.layers, self.norms):
            x = norm(layer(x).transpose(1, 2)).transpose(1, 2)
        return self.predict(x.transpose(1, 2)).movedim(1, -1)


def main():
    args = arguments(__doc__.splitlines()[0], VARIANTS)
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = args.variant != "plain"
    torch.backends.cudnn.allow_tf32 = args.variant != "plain"
    films = args.experiment == "next-frame"
    model = (Films() if films else Reviews(args.experiment, not args.inference)).to(device)
    # PyTorch's LSTM has a second bias, and its normalization counts its averages as buffers.
    few = sum(p.numel() for p in model.parameters()) - PARAMETERS[args.experiment]
    assert few in (0, 128, 512, -2 * LAYERS * FILTERS), few
    if args.variant == "channels-last" and films:
        for layer in model.layers:
            layer.to(memory_format=torch.channels_last)
    forward = torch.compile(model) if "compile" in args.variant else model
    rule = torch.optim.Adadelta if films else torch.optim.Adam
    optimizer = rule(model.parameters())
    x, y = (torch.from_numpy(a).to(device) for a in examples(args, np.random.default_rng(1)))
    amp = contextlib.nullcontext
    if "amp" in args.variant:
        amp = lambda: torch.autocast(device, torch.float16 if cuda else torch.bfloat16)
    scaler = torch.amp.GradScaler(device, enabled=cuda and "amp" in args.variant)

    def train():
        optimizer.zero_grad()
        with amp():
            loss = binary_cross_entropy_with_logits(forward(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        loss.item()

    def predict():
        with torch.inference_mode(), amp():
            forward(x).sigmoid().cpu()

    model.train(not args.inference)
    name = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
    measure(f"PyTorch {torch.__version__}", name, args, predict if args.inference else train)


if __name__ == "__main__":
    main()
