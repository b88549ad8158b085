"""The pix2pix networks of the PyTorch port, written again so that weights can be compared by name.

Layers, biases and `state_dict` keys are those of pytorch-CycleGAN-and-pix2pix (2023): `unet_256` is
`UnetGenerator(3, 3, 8)`, `unet_128` is depth 7, `basic` is `NLayerDiscriminator(6)`, `pixel` is
`PixelDiscriminator(6)`. Tensors are NCHW, filters OIHW (transposed convolutions IOHW).
"""

import torch
from torch import nn


def norm_layer(kind, channels):
    """`batch`: affine, eps 1e-5, momentum 0.1. `instance`: no parameters, no running statistics."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=False, track_running_stats=False)
    raise ValueError(f"norm '{kind}': expected batch or instance")


class UnetBlock(nn.Module):
    """One level: down, whatever lies below, up. Returns `cat(x, up)`; without `skip`, `up` alone.

    `place` is "outer" (no norm before or after, biased up convolution, tanh), "inner" (no norm on
    the way down) or "middle". Batch norm takes the bias out of every other convolution; with
    instance norm all are biased.
    """

    def __init__(self, outer, inner, below=None, inputs=None, place="middle", norm="batch",
                 dropout=False, skip=True):
        super().__init__()
        self.cat = skip and place != "outer"
        bias = norm == "instance"
        down = nn.Conv2d(inputs or outer, inner, 4, 2, 1, bias=bias)
        width = inner * 2 if skip and place != "inner" else inner
        up = nn.ConvTranspose2d(width, outer, 4, 2, 1, bias=bias or place == "outer")
        leaky, relu = nn.LeakyReLU(0.2, inplace=True), nn.ReLU(inplace=True)
        if place == "outer":
            layers = [down, below, relu, up, nn.Tanh()]
        elif place == "inner":
            layers = [leaky, down, relu, up, norm_layer(norm, outer)]
        else:
            layers = [leaky, down, norm_layer(norm, inner), below, relu, up,
                      norm_layer(norm, outer)]
            if dropout:
                layers.append(nn.Dropout(0.5))
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        up = self.model(x)
        return torch.cat([x, up], 1) if self.cat else up


class UnetGenerator(nn.Module):
    """U-Net of `num_downs` >= 5 halvings; widths ngf x 1, 2, 4, 8, 8, ... as in the port.

    `use_dropout` puts dropout 0.5 in the `num_downs - 5` middle blocks of width 8 ngf only.
    `skip=False` gives the encoder-decoder of the paper's ablation: the same blocks, no `cat`.
    """

    def __init__(self, input_nc=3, output_nc=3, num_downs=8, ngf=64, norm="batch",
                 use_dropout=False, skip=True):
        super().__init__()
        same = {"norm": norm, "skip": skip}
        block = UnetBlock(ngf * 8, ngf * 8, place="inner", **same)
        for _ in range(num_downs - 5):
            block = UnetBlock(ngf * 8, ngf * 8, block, dropout=use_dropout, **same)
        for outer in (ngf * 4, ngf * 2, ngf):
            block = UnetBlock(outer, outer * 2, block, **same)
        self.model = UnetBlock(output_nc, ngf, block, inputs=input_nc, place="outer", **same)

    def forward(self, x):
        return self.model(x)


class NLayerDiscriminator(nn.Module):
    """PatchGAN: `n_layers` strided 4x4 convolutions, one of stride 1, one to a single channel.

    Receptive field 16, 34, 70, 142, 286 pixels for 1 to 5 layers. Returns logits.
    """

    def __init__(self, input_nc=6, ndf=64, n_layers=3, norm="batch"):
        super().__init__()
        bias = norm == "instance"
        layers = [nn.Conv2d(input_nc, ndf, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        before = ndf
        for n in range(1, n_layers + 1):
            width = ndf * min(2 ** n, 8)
            stride = 2 if n < n_layers else 1
            layers += [nn.Conv2d(before, width, 4, stride, 1, bias=bias), norm_layer(norm, width),
                       nn.LeakyReLU(0.2, inplace=True)]
            before = width
        layers.append(nn.Conv2d(before, 1, 4, 1, 1))
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x)


class PixelDiscriminator(nn.Module):
    """1x1 convolutions only: judges every pixel alone. Returns logits of the input's extents."""

    def __init__(self, input_nc=6, ndf=64, norm="batch"):
        super().__init__()
        bias = norm == "instance"
        self.net = nn.Sequential(
            nn.Conv2d(input_nc, ndf, 1), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf, ndf * 2, 1, bias=bias), norm_layer(norm, ndf * 2),
            nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(ndf * 2, 1, 1, bias=bias))

    def forward(self, x):
        return self.net(x)


def gan_loss(mode, logits, real):
    """Mean over the map: `vanilla` is BCE with logits, `lsgan` the squared distance, to 1 or 0."""
    target = torch.full_like(logits, 1.0 if real else 0.0)
    if mode == "vanilla":
        return nn.functional.binary_cross_entropy_with_logits(logits, target)
    if mode == "lsgan":
        return nn.functional.mse_loss(logits, target)
    raise ValueError(f"gan mode '{mode}': expected vanilla or lsgan")


def init_port(net, generator, std=0.02):
    """The port's `init_weights`: filters N(0, std), gamma N(1, std), biases and beta 0."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                module.weight.normal_(0.0, std, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.BatchNorm2d):
                module.weight.normal_(1.0, std, generator=generator)
                module.bias.zero_()
    return net


class Pix2Pix:
    """The port's training step: one G forward, a D update, then a G update with a fresh D pass.

    D's loss is half the sum of its fake and real terms (fake is run first, so batch statistics are
    taken in the order fake, real, fake again). Both Adams: betas (0.5, 0.999), eps 1e-8.
    `conditional=False` shows D the target alone. `fused` is handed to Adam (None: its default).
    """

    def __init__(self, g, d, mode="vanilla", l1_weight=100.0, lr=2e-4, conditional=True,
                 fused=None):
        self.g, self.d, self.mode, self.l1_weight = g, d, mode, l1_weight
        self.conditional = conditional
        rule = {"lr": lr, "betas": (0.5, 0.999), "fused": fused}
        self.opt_g = torch.optim.Adam(g.parameters(), **rule)
        self.opt_d = torch.optim.Adam(d.parameters(), **rule)

    def judge(self, a, b):
        """D's logits for the pair, condition first on the channel axis."""
        return self.d(torch.cat([a, b], 1) if self.conditional else b)

    def step(self, a, b):
        """Returns (losses as tensors by the port's names, the fake image).

        `g_l1` includes its weight; `d_real` and `d_fake` are before the halving. D's gradients are
        left as its update used them: G's pass does not touch them.
        """
        fake = self.g(a)
        self.d.requires_grad_(True)
        self.opt_d.zero_grad()
        d_fake = gan_loss(self.mode, self.judge(a, fake.detach()), False)
        d_real = gan_loss(self.mode, self.judge(a, b), True)
        ((d_fake + d_real) * 0.5).backward()
        self.opt_d.step()

        self.d.requires_grad_(False)
        self.opt_g.zero_grad()
        g_gan = gan_loss(self.mode, self.judge(a, fake), True)
        g_l1 = nn.functional.l1_loss(fake, b) * self.l1_weight
        (g_gan + g_l1).backward()
        self.opt_g.step()
        losses = {"d_real": d_real, "d_fake": d_fake, "g_gan": g_gan, "g_l1": g_l1}
        return {k: v.detach() for k, v in losses.items()}, fake.detach()
