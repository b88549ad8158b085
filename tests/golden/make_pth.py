"""Writes tests/golden/pth: small PyTorch state dicts, and what PyTorch says is in them.

    python tests/golden/make_pth.py            write the goldens
    python tests/golden/make_pth.py check DIR  load every .pth of DIR strictly into the network of
                                               its golden, with weights_only=True, and compare

`PIX2PIX_PTH_OUT=DIR cargo test --test checkpoint` leaves such a DIR: our own writing of every golden.

The networks below have the modules of models/networks.py of junyanz/pytorch-CycleGAN-and-pix2pix
at the same indices, which is all that a state dict shows of them. Needs torch.
"""

import json
import sys
from pathlib import Path

import torch
from torch import nn

FOLDER = Path(__file__).parent / "pth"


class Identity(nn.Module):
    def forward(self, x):
        return x


def norm_layer(kind, channels):
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=False, track_running_stats=False)
    if kind == "instance-2018":
        return nn.InstanceNorm2d(channels, affine=False, track_running_stats=True)
    return Identity()


class Block(nn.Module):
    """One level of the U-Net: `outer` channels outside, `inner` inside."""

    def __init__(self, outer, inner, norm, source=None, child=None, outermost=False, target=None):
        super().__init__()
        bias = norm.startswith("instance")
        down = nn.Conv2d(source or outer, inner, 4, 2, 1, bias=bias)
        if outermost:
            up = nn.ConvTranspose2d(2 * inner, target, 4, 2, 1)
            layers = [down, child, nn.ReLU(), up, nn.Tanh()]
        elif child is None:
            up = nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=bias)
            layers = [nn.LeakyReLU(0.2), down, nn.ReLU(), up, norm_layer(norm, outer)]
        else:
            up = nn.ConvTranspose2d(2 * inner, outer, 4, 2, 1, bias=bias)
            layers = [nn.LeakyReLU(0.2), down, norm_layer(norm, inner), child]
            layers += [nn.ReLU(), up, norm_layer(norm, outer)]
        self.model = nn.Sequential(*layers)


class Unet(nn.Module):
    def __init__(self, source, target, depth, ngf, norm):
        super().__init__()
        width = [ngf * min(2**i, 8) for i in range(depth)]
        block = None
        for i in reversed(range(1, depth)):
            block = Block(width[i - 1], width[i], norm, child=block)
        self.model = Block(None, width[0], norm, source, block, True, target)


class Patch(nn.Module):
    def __init__(self, source, ndf, layers, norm):
        super().__init__()
        bias = norm.startswith("instance")
        modules = [nn.Conv2d(source, ndf, 4, 2, 1), nn.LeakyReLU(0.2)]
        for i in range(1, layers + 1):
            a, b = ndf * min(2 ** (i - 1), 8), ndf * min(2**i, 8)
            modules.append(nn.Conv2d(a, b, 4, 2 if i < layers else 1, 1, bias=bias))
            modules += [norm_layer(norm, b), nn.LeakyReLU(0.2)]
        modules.append(nn.Conv2d(ndf * min(2**layers, 8), 1, 4, 1, 1))
        self.model = nn.Sequential(*modules)


class Pixel(nn.Module):
    def __init__(self, source, ndf, norm):
        super().__init__()
        bias = norm.startswith("instance")
        self.net = nn.Sequential(
            nn.Conv2d(source, ndf, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(ndf, 2 * ndf, 1, bias=bias),
            norm_layer(norm, 2 * ndf),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * ndf, 1, 1, bias=bias),
        )


# name: (network, arguments, what is done to the state dict or how it is saved)
CASES = {
    "unet5_batch": (Unet, (3, 3, 5, 2, "batch"), ""),
    "unet5_batch_legacy": (Unet, (3, 1, 5, 2, "batch"), "legacy"),
    "unet5_instance": (Unet, (1, 3, 5, 2, "instance"), ""),
    "unet5_instance_2018": (Unet, (3, 3, 5, 1, "instance-2018"), "legacy"),
    "unet5_none": (Unet, (3, 3, 5, 1, "none"), ""),
    "unet8_batch_half": (Unet, (3, 3, 8, 1, "batch"), "half"),
    "unet5_batch_parallel": (Unet, (3, 3, 5, 1, "batch"), "module."),
    "unet5_batch_bfloat16_legacy": (Unet, (3, 3, 5, 1, "batch"), "bfloat16 legacy"),
    "unet5_batch_strided": (Unet, (3, 3, 5, 1, "batch"), "strided"),
    "unet5_batch_shared_legacy": (Unet, (3, 3, 5, 1, "batch"), "shared legacy"),
    "patch1_batch": (Patch, (6, 4, 1, "batch"), ""),
    "patch3_batch": (Patch, (6, 4, 3, "batch"), "uncounted"),
    "patch3_instance": (Patch, (3, 2, 3, "instance"), "parameters"),
    "patch3_none_double": (Patch, (4, 2, 3, "none"), "double"),
    "patch5_batch": (Patch, (6, 2, 5, "batch"), ""),
    "pixel_batch": (Pixel, (6, 4, "batch"), ""),
    "pixel_instance_legacy": (Pixel, (6, 4, "instance"), "legacy"),
    "pixel_none": (Pixel, (2, 4, "none"), ""),
}


def build(case):
    network, arguments, how = CASES[case]
    torch.manual_seed(list(CASES).index(case))
    net = network(*arguments)
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape) * 0.25)
        # No variance is below 0, and files with one are refused.
        if name.endswith("running_var"):
            tensor.abs_()
    return net, how


def state(net, how):
    state = net.state_dict()
    if "parameters" in how:
        for name, parameter in net.named_parameters():
            state[name] = parameter
    if "uncounted" in how:
        state = type(state)((k, v) for k, v in state.items() if "num_batches" not in k)
    if "module." in how:
        state = nn.DataParallel(net).state_dict()
    for kind in ("half", "bfloat16", "double"):
        if kind in how:
            for name, tensor in state.items():
                if tensor.is_floating_point():
                    state[name] = tensor.to(getattr(torch, kind))
    if "strided" in how:
        # Channels last, a slice of something larger, a step of two: all not contiguous.
        for i, (name, tensor) in enumerate(state.items()):
            if tensor.dim() == 4 and i % 2:
                state[name] = tensor.contiguous(memory_format=torch.channels_last)
            elif tensor.dim() == 4:
                state[name] = torch.cat([tensor, tensor], 1)[:, tensor.shape[1] :]
            elif tensor.dim() == 1:
                state[name] = tensor.repeat_interleave(2)[1::2]
    if "shared" in how:
        flat = torch.cat([t.flatten() for t in state.values() if t.is_floating_point()])
        at = 0
        for name, tensor in state.items():
            if tensor.is_floating_point():
                state[name] = flat[at : at + tensor.numel()].view(tensor.shape)
                at += tensor.numel()
    return state


def expected(state):
    """Per tensor: extents, sum and weighted sum in f64, and some elements with their places."""
    out = {}
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            continue
        flat = tensor.detach().double().flatten()
        places = sorted({0, 1 % len(flat), len(flat) // 3, len(flat) // 2, len(flat) - 1})
        weight = torch.arange(1, len(flat) + 1, dtype=torch.float64)
        out[name] = {
            "size": list(tensor.shape),
            "sum": flat.sum().item(),
            "weighted": (flat * weight).sum().item(),
            "elements": [[i, flat[i].item()] for i in places],
        }
    return out


def make():
    FOLDER.mkdir(exist_ok=True)
    table = {}
    for name in CASES:
        net, how = build(name)
        content = state(net, how)
        path = FOLDER / f"{name}.pth"
        torch.save(content, path, _use_new_zipfile_serialization="legacy" not in how)
        table[name] = expected(content)
    (FOLDER / "expected.json").write_text(json.dumps(table, indent=None, separators=(",", ":")) + "\n")
    print(sum(f.stat().st_size for f in FOLDER.iterdir()), "bytes in", FOLDER)


def check(folder):
    for path in sorted(Path(folder).glob("*.pth")):
        network, arguments, how = CASES[path.stem]
        arguments = [a.replace("-2018", "") if isinstance(a, str) else a for a in arguments]
        net = network(*arguments)
        ours = torch.load(path, weights_only=True)
        net.load_state_dict(ours, strict=True)
        golden = torch.load(FOLDER / path.name, weights_only=True)
        golden = {k.removeprefix("module."): v for k, v in golden.items()}
        for name, tensor in net.state_dict().items():
            if tensor.is_floating_point():
                assert torch.equal(tensor, golden[name].float()), (path, name)
        print("loads strictly and is equal:", path.name)


if sys.argv[1:2] == ["check"]:
    check(sys.argv[2])
else:
    make()
