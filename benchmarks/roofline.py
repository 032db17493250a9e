"""Estimates of the layers of Table 3's latent map on a device: flops, bytes, intensity and the
bound of a roofline. Nothing here is measured: peaks are those of data sheets, and a kernel reaches
less. `python3 benchmarks/roofline.py` prints the tables in Markdown.

Bytes are those of float. "Ideal" reads inputs and weights once and writes outputs once. "Tiles" is
what a kernel would read of caches and memory in tiles of 128 states and as many output channels as
the layer has, 64 at most: no kernel here does so yet. The bound follows from the ideal bytes.
"""

DEVICES = [("H100 SXM", 67e12, 3.35e12), ("RTX 4090", 82.6e12, 1.01e12)]  # flop/s, byte/s
TILE_STATES, TILE_CHANNELS = 128, 64


def layers(width, latent=2, image=32):
    """Of the map E∘D: name, channels in, channels out, pixels in, pixels out, joined pixels."""
    side = [image >> i for i in range(5)]
    channels = [1] + [width << i for i in range(4)]
    features = channels[4] * side[4] ** 2
    yield "dec.0 dense", latent, features, 1, 1, 1
    for i in range(4, 0, -1):
        yield (f"dec.{11 - 2 * i} transposed", channels[i], channels[i - 1], side[i] ** 2,
               side[i - 1] ** 2, joined(side[i]))
    for i in range(4):
        yield (f"enc.{2 * i} convolution", channels[i], channels[i + 1], side[i] ** 2,
               side[i + 1] ** 2, joined(side[i + 1]))
    yield "enc.9 dense", features, latent, 1, 1, 1


def joined(small):
    """Pairs of pixels that kernel 3, stride 2, padding 1 joins: a line of the smaller image has 3 a
    pixel, but for one that would read padding."""
    return (3 * small - 1) ** 2


def row(layer, states):
    name, inputs, outputs, sources, targets, joins = layer
    matrices = 1 if name.endswith("dense") else 9
    flops = 2 * joins * inputs * outputs * states
    ideal = 4 * (states * (inputs * sources + outputs * targets) + matrices * inputs * outputs)
    across = -(-outputs // TILE_CHANNELS)
    down = -(-states // TILE_STATES)
    tiles = 4 * (joins * inputs * (states * across + outputs * down) + states * outputs * targets)
    cells = [name, f"{flops / 1e9:.3g}", f"{ideal / 1e6:.3g}",
             "cuBLAS" if name.endswith("dense") else f"{tiles / 1e6:.3g}", f"{flops / ideal:.3g}"]
    for _, peak, bandwidth in DEVICES:
        time = max(flops / peak, ideal / bandwidth)
        cells.append(f"{time * 1e6:.3g} us, {'flops' if flops / peak == time else 'memory'}, "
                     f"{100 * flops / peak / time:.0f} %")
    return cells


def main():
    for width in (8, 32):
        for states in (1024, 8192):
            print(f"\nWidth {width}, {states} states\n")
            head = ["layer", "Gflop", "MB, ideal", "MB, tiles", "flop/byte"]
            head += [name for name, _, _ in DEVICES]
            print("| " + " | ".join(head) + " |")
            print("|---" * len(head) + "|")
            for layer in layers(width):
                print("| " + " | ".join(row(layer, states)) + " |")


if __name__ == "__main__":
    main()
