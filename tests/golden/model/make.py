#!/usr/bin/env python3
"""Makes taef2.safetensors: what PyTorch computes of TAEF2 for images of 16 × 24, in double.

Needs torch and safetensors, and the two files of the model:

    make.py FOLDER     with taef2_encoder.safetensors and taef2_decoder.safetensors

The layers follow the names and shapes of the files' tensors; that they are put together as they
were trained is seen from images, which decode(encode(x)) gives back: the script prints the error.
"""
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from torch import nn

here = pathlib.Path(__file__).parent


def conv(n_in, n_out, **options):
    return nn.Conv2d(n_in, n_out, 3, padding=1, **options)


class Clamp(nn.Module):
    def forward(self, x):
        return 3 * torch.tanh(x / 3)


class Block(nn.Module):
    def __init__(self, pooled=False):
        super().__init__()
        self.conv = nn.Sequential(conv(64, 64), nn.ReLU(), conv(64, 64), nn.ReLU(), conv(64, 64))
        self.pool = nn.Sequential(
            nn.Conv2d(64, 256, 1, bias=False), nn.GroupNorm(4, 256), nn.ReLU(),
            nn.Conv2d(256, 64, 1, bias=False)) if pooled else None

    def forward(self, x):
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)




def stride():
    return conv(64, 64, stride=2, bias=False)


def up():
    return [nn.Upsample(scale_factor=2), conv(64, 64, bias=False)]


encoder = nn.Sequential(
    conv(3, 64), Block(), stride(), Block(), Block(), Block(), stride(), Block(), Block(), Block(),
    stride(), Block(True), Block(True), Block(True), conv(64, 32)).double()
decoder = nn.Sequential(
    Clamp(), conv(32, 64), nn.ReLU(), Block(True), Block(True), Block(True), *up(),
    Block(), Block(), Block(), *up(), Block(), Block(), Block(), *up(), Block(),
    conv(64, 3)).double()
folder = pathlib.Path(sys.argv[1])
encoder.load_state_dict(load_file(folder / "taef2_encoder.safetensors"))
decoder.load_state_dict(load_file(folder / "taef2_decoder.safetensors"))

# A picture of smooth colours: what a model of images gives back, and no wrong one.
rows, columns = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 64), indexing="ij")
picture = torch.stack([rows, columns, (torch.hypot(rows - 0.5, columns - 0.5) < 0.3) * 0.8 + 0.1])
with torch.no_grad():
    again = decoder(encoder(picture[None].double()))[0]
print("root mean square of the picture", float(picture.double().std()), "of the error",
      float((again - picture).square().mean().sqrt()))

torch.manual_seed(1)
z = torch.randn(1, 32, 2, 3, dtype=torch.float64)
v = torch.randn(1, 32, 2, 3, dtype=torch.float64)
image, image_tangent = torch.func.jvp(decoder, (z,), (v,))
f, tangent = torch.func.jvp(lambda x: encoder(decoder(x)), (z,), (v,))
save_file({name: x.detach().flatten().contiguous() for name, x in
           {"z": z, "v": v, "image": image, "f": f, "tangent": tangent}.items()},
          here / "taef2.safetensors")
