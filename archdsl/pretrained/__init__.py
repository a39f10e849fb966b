"""Weights by name: `torchvision:`, `timm:`, `hf:`, `https://` and `file://`, with their source, hash and licence.

Only a source that begins with one of these prefixes may reach the network.
"""

from archdsl.pretrained.names import available as available
from archdsl.pretrained.names import is_name as is_name
from archdsl.pretrained.names import release as release
from archdsl.pretrained.release import Release as Release
from archdsl.pretrained.release import offline as offline
