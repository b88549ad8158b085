"""Writes tests/golden/foreign: what people give to a program that reads pix2pix models.

    python tests/golden/make_foreign.py

Networks of other programs with one channel, of which only the names and extents of the tensors matter,
and what else PyTorch saves. Needs torch.
"""

import io
import zipfile
from pathlib import Path

import torch
from torch import nn

FOLDER = Path(__file__).parent / "foreign"


def zeros(*named):
    """A state dict of filters: `name` or `name:SIZE`, 3 by default, of one channel."""
    state = {}
    for name in named:
        name, _, size = name.partition(":")
        state[f"{name}.weight"] = torch.zeros(1, 1, *[int(size or 3)] * 2)
        state[f"{name}.bias"] = torch.zeros(1)
    return state


def resnet(halvings, blocks, antialias=False):
    """ResnetGenerator of the port; with four halvings, GlobalGenerator of pix2pixHD."""
    step = 4 if antialias else 3
    first = 4 + step * halvings
    names = ["model.1:7"] + [f"model.{4 + step * i}" for i in range(halvings)]
    for i in range(first, first + blocks):
        names += [f"model.{i}.conv_block.1", f"model.{i}.conv_block.5"]
    last = first + blocks
    names += [f"model.{last + step * i}" for i in range(halvings)]
    state = zeros(*names, f"model.{last + 3 * halvings + 1}:7")
    if antialias:
        for i in range(halvings):
            state[f"model.{7 + step * i}.filt"] = torch.zeros(1, 1, 3, 3)
    return state


def unet():
    """UnetGenerator of the port with five halvings, without norm."""
    state = zeros("model.model.0:4", "model.model.3:4")
    del state["model.model.0.bias"]
    state["model.model.3.weight"] = torch.zeros(2, 1, 4, 4)
    width = [1, 2, 4, 8, 8]
    for level in range(1, 5):
        inside = "model.model.1.model" + ".3.model" * (level - 1)
        outer, inner = width[level - 1], width[level]
        state[f"{inside}.1.weight"] = torch.zeros(inner, outer, 4, 4)
        innermost = level == 4
        taken = inner if innermost else 2 * inner
        state[f"{inside}.{3 if innermost else 5}.weight"] = torch.zeros(taken, outer, 4, 4)
    return state


def below(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)

    def forward(self, x):
        return self.conv(x)


def optimiser():
    net = Small()
    adam = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 1, 2, 2)).sum().backward()
    adam.step()
    return adam.state_dict()


CASES = {
    "resnet_9blocks": resnet(2, 9),
    "resnet_6blocks": resnet(2, 6),
    "resnet_6blocks_parallel": below("module.", resnet(2, 6)),
    "resnet_9blocks_antialias": resnet(2, 9, antialias=True),
    "resnet_3_halvings": resnet(3, 2),
    "hd_global": resnet(4, 9),
    "hd_local": resnet(4, 2) | zeros("model1_1.1:7", "model1_1.4", "model1_2.0.conv_block.1", "model1_2.3"),
    "hd_discriminator": zeros(*[f"scale{s}_layer{i}.0:4" for s in range(2) for i in range(5)]),
    "hd_discriminator_plain": zeros(*[f"layer{s}.{i}:4" for s in range(2) for i in (0, 2, 5, 8)]),
    "spade": zeros("fc", "head_0.conv_0", "up_0.norm_0.mlp_shared.0", "up_0.conv_0", "conv_img"),
    "unet_milesial": zeros("inc.double_conv.0", "down1.maxpool_conv.1.double_conv.0", "up1.up", "outc.conv:1"),
    "unet_smp": zeros("encoder.conv1:7", "decoder.blocks.0.conv1.0", "segmentation_head.0"),
    "unet_pytorch_gan": zeros("down1.model.0:4", "down2.model.0:4", "up1.model.0:4", "final.2:4"),
    "unet_initial_down": zeros("initial_down.0:4", "down1.conv.0:4", "bottleneck.0:4", "final_up.0:4"),
    "unet_diffusion": zeros("conv_in", "time_embedding.linear_1:1", "down_blocks.0.resnets.0.conv1", "up_blocks.0.resnets.0.conv1"),
    "unet_other": zeros("down_a.0", "down_b.0", "up_a.0", "last"),
    "vgg": zeros("features.0", "features.2", "classifier.0:1"),
    "resnet50": zeros("conv1:7", "layer1.0.conv1:1", "layer4.0.conv1:1", "fc:1"),
    "spectral": {"main.0.weight_orig": torch.zeros(1, 1, 4, 4), "main.0.weight_u": torch.zeros(1)},
    "unknown": zeros("alpha", "beta"),
    "prefixed": below("generator.", unet()) | below("discriminator.", zeros("model.0:4")),
    # What surrounds networks.
    "wrapped_state_dict": {"epoch": 3, "state_dict": unet(), "optimizer": optimiser()},
    "wrapped_model": {"model": resnet(2, 9), "best": 0.5},
    "wrapped_generator": {"args": {"lr": 0.1}, "gen": zeros("alpha"), "disc": zeros("beta")},
    "wrapped_odd_key": {"it's \"x\"": zeros("alpha"), "n": 1},
    "wrapped_twice": {"epoch": 1, "nets": {"g": unet()}},
    "lightning": {
        "epoch": 1,
        "global_step": 10,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": below("generator.", resnet(2, 6)) | below("discriminator.", zeros("model.0:4")),
        "optimizer_states": [optimiser()],
        "hyper_parameters": {"lr": 2e-4},
    },
    "lightning_unet": {
        "pytorch-lightning_version": "2.5.0",
        "state_dict": below("netG.", unet()),
    },
    "optimiser": optimiser(),
    "whole_network": Small(),
    "whole_optimiser": torch.optim.Adam(Small().parameters()),
    "tensor": torch.zeros(3),
    "list": [torch.zeros(3)],
}


def write_all():
    FOLDER.mkdir(exist_ok=True)
    for name, content in CASES.items():
        small = name not in ("prefixed", "lightning_unet")
        torch.save(content, FOLDER / f"{name}.pth", _use_new_zipfile_serialization=small)
        if name in ("resnet_9blocks", "wrapped_model"):
            legacy = FOLDER / f"{name}_legacy.pth"
            torch.save(content, legacy, _use_new_zipfile_serialization=False)
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(Small(), torch.ones(1, 1, 2, 2)), buffer)
    # Without the debugging information, most of the file.
    with zipfile.ZipFile(buffer) as whole, zipfile.ZipFile(FOLDER / "torchscript.pt", "w") as part:
        for member in whole.infolist():
            if not member.filename.endswith(".debug_pkl"):
                part.writestr(member.filename, whole.read(member))
    print(sum(f.stat().st_size for f in FOLDER.iterdir()), "bytes in", FOLDER)


write_all()
