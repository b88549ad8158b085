"""Writes fcn8s.safetensors: FCN-8s as src/model/fcn8s.rs describes it, a pass and a training step in PyTorch.

    python make_fcn.py

`y`, `dx`, `grad/`, `after/` are of a pass backward from `dy` in train mode, as in make.py; `step/grad/` and
`step/after/` of one step of softmax cross entropy (no class: 255) with Adam. Weights, x and dy are by formula.py.
Names are those of our own files, since the port has no such network.
"""

import torch
from torch import nn
from torch.nn import functional as F

from formula import uniform
from make import golden_net, lively, recipe, worst, write

CONVOLUTIONS = (2, 2, 3, 3, 3)
STREAM, BASE, CLASSES, SHAPE = 15000, 1, 5, (2, 3, 64, 64)


class Conv(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, window, before, width):
        super().__init__()
        self.conv = nn.Conv2d(before, width, window, 1, window // 2, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))


class Plain(nn.Module):
    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, x):
        return self.conv(x)


class Fcn8s(nn.Module):
    """Without dropout, whose draws differ."""

    def __init__(self, inputs, classes, base):
        super().__init__()
        before = inputs
        width = [base * min(2 ** level, 8) for level in range(5)]
        for level, count in enumerate(CONVOLUTIONS):
            for i in range(1, count + 1):
                setattr(self, f"conv{level + 1}_{i}", Conv(3, before, width[level]))
                before = width[level]
        self.fc6, self.fc7 = Conv(7, before, 64 * base), Conv(1, 64 * base, 64 * base)
        head = lambda before: Plain(nn.Conv2d(before, classes, 1))
        up = lambda stride: Plain(nn.ConvTranspose2d(
            classes, classes, 2 * stride, stride, stride // 2, bias=False))
        self.score = head(64 * base)
        self.up2, self.score4 = up(2), head(width[3])
        self.up4, self.score3 = up(2), head(width[2])
        self.up8 = up(8)

    def forward(self, x):
        pools = []
        for level, count in enumerate(CONVOLUTIONS):
            for i in range(1, count + 1):
                x = getattr(self, f"conv{level + 1}_{i}")(x)
            x = F.max_pool2d(x, 2)
            pools.append(x)
        x = self.score(self.fc7(self.fc6(x)))
        x = self.up2(x) + self.score4(pools[3])
        x = self.up4(x) + self.score3(pools[2])
        return self.up8(x)


def step(net, x, labels):
    """One training step: what it left."""
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999))
    loss = F.cross_entropy(net.train()(x), labels, ignore_index=255)
    loss.backward()
    optimiser.step()
    left = {f"step/grad/{k}": p.grad for k, p in net.named_parameters()}
    left |= {f"step/after/{k}": v for k, v in net.state_dict().items() if "num_batches" not in k}
    return loss.item(), left


def main():
    make = lambda: lively(Fcn8s(3, CLASSES, BASE), STREAM)
    net, x = make(), uniform(7300, SHAPE)
    dy = uniform(7301, (SHAPE[0], CLASSES) + SHAPE[2:], 2.0 ** -6)
    exact, loss = golden_net(net, x, dy)
    labels = ((uniform(7302, (SHAPE[0], 1) + SHAPE[2:])[:, 0] + 1) * 0.5 * CLASSES).long().clamp(0, CLASSES - 1)
    labels[:, 10:14, 20:30] = 255
    found, left = step(make().double(), x.double(), labels)
    found32, rough = step(make(), x, labels)
    labels = labels[:, None]
    write("fcn8s.safetensors", exact | left | {"labels": labels.float()}, "facts", {
        "base": BASE, "classes": CLASSES, "x": list(SHAPE), "streams": {"x": 7300, "dy": 7301},
        "dy_scale": 2.0 ** -6, "weights": recipe(net, STREAM), "loss": found, "loss_float32": found32,
        "float32_nmse": loss, "step_float32_nmse": worst(left, rough)})
    print(loss, worst(left, rough), found, found32)


if __name__ == "__main__":
    main()
