"""The four networks as a reader of the papers types them with torch.nn, in the presets' sizes.

Each computes what `model=cifar100mh_<name>` of mhray does, on 32x32x3 images, and has its
parameters in the same order. All read images in NCHW, and are written as in the repository that is
copied most:

cnn           convolution with bias, BatchNorm, ReLU and max-pool, in this order, of no repository.
              The bias is what ours leaves out: BatchNorm takes away whatever it adds.
convnext      facebookresearch/ConvNeXt-V2: permutes around the linear layers, the norm of NCHW
              images and GRN written out.
efficientnet  kuangliu/pytorch-cifar and lukemelas/EfficientNet-PyTorch: convolutions without bias,
              each layer called by its name. nn.SiLU, where they write x * x.sigmoid().
vit           lucidrains/vit-pytorch, and kentaroy47/vision-transformers-cifar10 after it: the
              softmax of q k written out. As in ours, q, k and v have a bias, patches are cut by a
              convolution, and their mean after the last norm stands for a class token.
"""

import torch
from torch import nn
from torch.nn import functional

HEADS = {"fine": 100, "coarse": 20}


class UsualNetwork(nn.Module):
    """A backbone, and a linear layer per head."""

    left_out = ()  # parameters that ours has no need of; where they are zero, both are equal

    def __init__(self, backbone, num_features):
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleDict({name: nn.Linear(num_features, n) for name, n in HEADS.items()})

    def forward(self, images):
        features = self.backbone(images)
        return {name: head(features) for name, head in self.heads.items()}

    def load(self, parameters):
        """Takes the parameters of ours, in their order."""
        own = dict(self.named_parameters())
        with torch.no_grad():
            for name in self.left_out:
                own.pop(name).zero_()
            for mine, given in zip(own.values(), parameters, strict=True):
                mine.copy_(given.view_as(mine))


class SimpleCNN(UsualNetwork):
    left_out = ("backbone.0.bias", "backbone.4.bias")

    def __init__(self, conv1=16, conv2=32, hidden=96):
        backbone = nn.Sequential(
            nn.Conv2d(3, conv1, 3, padding=1),
            nn.BatchNorm2d(conv1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(conv1, conv2, 3, padding=1),
            nn.BatchNorm2d(conv2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(conv2 * 16, hidden),
            nn.ReLU(),
            nn.Dropout(0.25),
        )
        super().__init__(backbone, hidden)


class ChannelsFirstNorm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt(variance + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class GRN(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, 1, channels))
        self.beta = nn.Parameter(torch.zeros(1, 1, 1, channels))

    def forward(self, x):
        norms = torch.norm(x, p=2, dim=(1, 2), keepdim=True)
        relative = norms / (norms.mean(dim=-1, keepdim=True) + 1e-6)
        return self.gamma * (x * relative) + self.beta + x


class ConvNeXtBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand = nn.Linear(channels, 4 * channels)
        self.act = nn.GELU()
        self.grn = GRN(4 * channels)
        self.project = nn.Linear(4 * channels, channels)

    def forward(self, images):
        x = self.depthwise(images)
        x = x.permute(0, 2, 3, 1)
        x = self.norm(x)
        x = self.expand(x)
        x = self.act(x)
        x = self.grn(x)
        x = self.project(x)
        x = x.permute(0, 3, 1, 2)
        return images + x


class MeanOfPixels(nn.Module):
    def forward(self, images):
        return images.mean([-2, -1])


class ConvNeXt(UsualNetwork):
    def __init__(self, dims=(8, 16, 32, 64)):
        layers = [nn.Conv2d(3, dims[0], 3, padding=1), ChannelsFirstNorm(dims[0])]
        for stage, dim in enumerate(dims):
            if stage > 0:
                before = dims[stage - 1]
                layers += [ChannelsFirstNorm(before), nn.Conv2d(before, dim, 2, stride=2)]
            layers.append(ConvNeXtBlock(dim))
        layers += [MeanOfPixels(), nn.LayerNorm(dims[-1], eps=1e-6)]
        super().__init__(nn.Sequential(*layers), dims[-1])


class MBConv(nn.Module):
    def __init__(self, channels, expanded, squeezed, out_channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, expanded, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(expanded)
        self.conv2 = nn.Conv2d(
            expanded, expanded, 3, stride, padding=1, groups=expanded, bias=False
        )
        self.bn2 = nn.BatchNorm2d(expanded)
        self.squeeze = nn.Conv2d(expanded, squeezed, 1)
        self.excite = nn.Conv2d(squeezed, expanded, 1)
        self.conv3 = nn.Conv2d(expanded, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.act = nn.SiLU()
        self.has_skip = stride == 1 and channels == out_channels

    def forward(self, images):
        x = self.act(self.bn1(self.conv1(images)))
        x = self.act(self.bn2(self.conv2(x)))
        scale = functional.adaptive_avg_pool2d(x, 1)
        scale = self.act(self.squeeze(scale))
        scale = torch.sigmoid(self.excite(scale))
        x = self.bn3(self.conv3(scale * x))
        return images + x if self.has_skip else x


class EfficientNet(UsualNetwork):
    def __init__(self, width=12, features=240):
        backbone = nn.Sequential(
            nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.SiLU(),
            MBConv(width, 16, 3, 12, stride=1),
            MBConv(12, 48, 3, 18, stride=1),
            MBConv(18, 72, 4, 30, stride=2),
            MBConv(30, 120, 7, 60, stride=2),
            nn.Conv2d(60, features, 1, bias=False),
            nn.BatchNorm2d(features),
            nn.SiLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        super().__init__(backbone, features)


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.to_qkv = nn.Linear(dim, 3 * dim)
        self.to_out = nn.Linear(dim, dim)

    def forward(self, x):
        batch, patches, dim = x.shape
        q, k, v = (
            part.view(batch, patches, self.heads, -1).transpose(1, 2)
            for part in self.to_qkv(self.norm(x)).chunk(3, dim=-1)
        )
        attention = (torch.matmul(q, k.transpose(-1, -2)) * self.scale).softmax(dim=-1)
        out = torch.matmul(attention, v).transpose(1, 2).reshape(batch, patches, dim)
        return self.to_out(out)


class TransformerLayer(nn.Module):
    def __init__(self, dim, heads, mlp_dim):
        super().__init__()
        self.attention = Attention(dim, heads)
        self.mlp = nn.Sequential(
            nn.LayerNorm(dim, eps=1e-6),
            nn.Linear(dim, mlp_dim),
            nn.GELU(),
            nn.Dropout(0.0),
            nn.Linear(mlp_dim, dim),
            nn.Dropout(0.0),
        )

    def forward(self, x):
        x = self.attention(x) + x
        return self.mlp(x) + x


class Patches(nn.Module):
    def __init__(self, patch, dim):
        super().__init__()
        self.project = nn.Conv2d(3, dim, patch, stride=patch)

    def forward(self, images):
        return self.project(images).flatten(2).transpose(1, 2)


class Positions(nn.Module):
    def __init__(self, patches, dim):
        super().__init__()
        self.embedding = nn.Parameter(0.02 * torch.randn(1, patches, dim))

    def forward(self, x):
        return x + self.embedding


class MeanOfPatches(nn.Module):
    def forward(self, x):
        return x.mean(dim=1)


class VisionTransformer(UsualNetwork):
    def __init__(self, patch=8, dim=32, layers=6, heads=4, mlp_dim=64):
        backbone = nn.Sequential(
            Patches(patch, dim),
            Positions((32 // patch) ** 2, dim),
            *(TransformerLayer(dim, heads, mlp_dim) for _ in range(layers)),
            nn.LayerNorm(dim, eps=1e-6),
            MeanOfPatches(),
        )
        super().__init__(backbone, dim)


USUAL = {
    "cnn": SimpleCNN,
    "convnext": ConvNeXt,
    "efficientnet": EfficientNet,
    "vit": VisionTransformer,
}
