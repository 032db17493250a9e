"""The convolutional autoencoder of the paper's Table 3 in PyTorch."""
import torch
from torch import nn


def table3(k, d=32, channels=1, size=32):
    """Encoder and decoder of Table 3 as two nn.Sequential.

    k is the number of latent dimensions, d the width of the first convolution, channels and
    size those of the image (size a multiple of 16). PyTorch's default initialisation.
    """
    widths = [channels, d, 2 * d, 4 * d, 8 * d]
    small = size // 16
    features = 8 * d * small * small
    encoder = []
    for inside, outside in zip(widths, widths[1:]):
        encoder += [nn.Conv2d(inside, outside, 3, stride=2, padding=1), nn.ReLU()]
    encoder += [nn.Flatten(), nn.Linear(features, k)]
    decoder = [nn.Linear(k, features), nn.Unflatten(1, (8 * d, small, small))]
    for inside, outside in zip(widths[:0:-1], widths[-2::-1]):
        decoder += [nn.ReLU(), nn.ConvTranspose2d(inside, outside, 3, stride=2, padding=1,
                                                  output_padding=1)]
    return nn.Sequential(*encoder), nn.Sequential(*decoder)


class Autoencoder(nn.Module):
    """Two halves under the names enc and dec; calling it reconstructs an image."""

    def __init__(self, enc, dec):
        super().__init__()
        self.enc = enc
        self.dec = dec

    def forward(self, image):
        return self.dec(self.enc(image))

    def latent(self, code):
        """The latent map f = E(D(z))."""
        return self.enc(self.dec(code))
