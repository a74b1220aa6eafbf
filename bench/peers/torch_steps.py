"""PyTorch: training steps or inference of the five experiments, timed.

nn.LSTM and nn.RNN where they can run (cuDNN on a GPU), and as the switch `loop` a loop over the
steps, which recurrent dropout and a ConvLSTM need in any case. `compile` compiles the model, of a
loop over words the step alone: unrolled over 500 steps it would take longer to compile than to
train. On a GPU also with TF32 products and under autocast to f16 and bf16. Denormals are flushed,
as training on a CPU is several times slower without.
"""

import contextlib

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from common import DROPOUT, FILTERS, LAYERS, PARAMETERS, UNITS, WORDS
from common import arguments, examples, measure

LOOP = ("simple-rnn", "lstm", "cnn-lstm")


def variants(experiment, training):
    hows = ["plain", "compile"]
    if experiment == "next-frame":
        hows += ["channels-last", "channels-last+compile"]
    if experiment in LOOP or (experiment == "lstm-dropout" and not training):
        hows += ["loop", "loop+compile"]
    precisions = ["", "tf32+", "f16+", "bf16+"] if torch.cuda.is_available() else [""]
    return [precision + how for precision in precisions for how in hows]


def orthogonal(*shape):
    return nn.init.orthogonal_(torch.empty(shape))


class LoopRNN(nn.Module):
    """Keras's SimpleRNN as a loop over the steps."""

    def __init__(self, features):
        super().__init__()
        self.kernel = nn.Parameter(nn.init.xavier_uniform_(torch.empty(features, UNITS)))
        self.recurrent = nn.Parameter(orthogonal(UNITS, UNITS))
        self.bias = nn.Parameter(torch.zeros(UNITS))

    def forward(self, x):
        h = x.new_zeros(len(x), UNITS)
        for z in (x.transpose(0, 1) @ self.kernel + self.bias).unbind(0):
            h = self.step(z, h, self.recurrent)
        return h

    @staticmethod
    def step(z, h, recurrent):
        return torch.tanh(z + h @ recurrent)


class LoopLSTM(nn.Module):
    """Keras's LSTM as a loop over the steps; with dropout and recurrent dropout, factors of their
    own for each gate."""

    def __init__(self, features, dropout):
        super().__init__()
        self.kernel = nn.Parameter(nn.init.xavier_uniform_(torch.empty(features, 4 * UNITS)))
        self.recurrent = nn.Parameter(orthogonal(UNITS, 4 * UNITS))
        self.bias = nn.Parameter(torch.zeros(4 * UNITS))
        self.dropout = dropout
        if dropout:
            self.step = self.dropout_step

    def forward(self, x):
        batch, _, features = x.shape
        h = c = x.new_zeros(batch, UNITS)
        x = x.transpose(0, 1)
        if not self.dropout:
            for z in (x @ self.kernel + self.bias).unbind(0):
                h, c = self.step(z, h, c, self.recurrent)
            return h
        keep = 1 - self.dropout
        factors = x.new_empty(4, batch, features).bernoulli_(keep) / keep
        seen = x.new_empty(4, batch, UNITS).bernoulli_(keep) / keep
        kernels = self.kernel.view(features, 4, UNITS).transpose(0, 1)
        recurrent = self.recurrent.view(UNITS, 4, UNITS).transpose(0, 1)
        z = torch.stack([(x * factors[g]) @ kernels[g] for g in range(4)], 2)
        z = z + self.bias.view(4, UNITS)
        # Indexing instead would make each step's gradient as large as all of z.
        for z in z.unbind(0):
            h, c = self.step(z, h, c, recurrent, seen)
        return h

    @classmethod
    def step(cls, z, h, c, recurrent):
        return cls.cell(z + h @ recurrent, c)

    @classmethod
    def dropout_step(cls, z, h, c, recurrent, seen):
        z = z + torch.bmm(h * seen, recurrent).transpose(0, 1)
        return cls.cell(z.reshape(len(h), 4 * UNITS), c)

    @staticmethod
    def cell(z, c):
        i, f, g, o = z.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class Reviews(nn.Module):
    def __init__(self, experiment, training, loop):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 32)
        self.conv = nn.Conv1d(32, 32, 3, padding=1) if experiment == "cnn-lstm" else None
        dropout = DROPOUT if experiment == "lstm-dropout" and training else 0
        if experiment == "simple-rnn":
            self.rnn = LoopRNN(32) if loop else nn.RNN(32, UNITS, batch_first=True)
        elif loop or dropout:
            self.rnn = LoopLSTM(32, dropout)
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
    args = arguments(__doc__.splitlines()[0], variants)
    on = args.switches.__contains__
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = on("tf32")
    films = args.experiment == "next-frame"
    model = Films() if films else Reviews(args.experiment, not args.inference, on("loop"))
    model.to(device)
    # PyTorch's LSTM has a second bias, and its normalization counts its averages as buffers.
    few = sum(p.numel() for p in model.parameters()) - PARAMETERS[args.experiment]
    assert few in (0, 128, 512, -2 * LAYERS * FILTERS), few
    if on("channels-last"):
        for layer in model.layers:
            layer.to(memory_format=torch.channels_last)
    forward = model
    if on("compile"):
        if not films and isinstance(model.rnn, (LoopRNN, LoopLSTM)):
            model.rnn.step = torch.compile(model.rnn.step)
        else:
            forward = torch.compile(model)
    rule = torch.optim.Adadelta if films else torch.optim.Adam
    optimizer = rule(model.parameters())
    x, y = (torch.from_numpy(a).to(device) for a in examples(args, np.random.default_rng(1)))
    amp = contextlib.nullcontext
    if on("f16") or on("bf16"):
        amp = lambda: torch.autocast(device, torch.float16 if on("f16") else torch.bfloat16)
    scaler = torch.amp.GradScaler(device, enabled=on("f16"))

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
