"""PyTorch (cuDNN on a GPU): training steps of the review classifier, timed.

Embedding(5000, 32) -> LSTM(128) -> Dense(1) on batches of 128 random reviews of
500 words, float32, Adam, binary cross-entropy.
"""

import statistics
import time

import torch

BATCH, LENGTH, WORDS, STEPS, WARM_UP = 128, 500, 5000, 50, 10


class Classifier(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(WORDS, 32)
        self.lstm = torch.nn.LSTM(32, 128, batch_first=True)
        self.dense = torch.nn.Linear(128, 1)

    def forward(self, tokens):
        _, (hidden, _) = self.lstm(self.embedding(tokens))
        return self.dense(hidden[0])[:, 0]


def main():
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = Classifier().to(device)
    optimizer = torch.optim.Adam(model.parameters())
    tokens = torch.randint(WORDS, (BATCH, LENGTH), device=device)
    labels = torch.randint(2, (BATCH,), device=device).float()
    times = []
    for _ in range(WARM_UP + STEPS):
        start = time.perf_counter()
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(tokens), labels).backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    median = statistics.median(times[WARM_UP:])
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    print(f"torch {torch.__version__} on {name}: median step {1e3 * median:.3f} ms")


if __name__ == "__main__":
    main()
