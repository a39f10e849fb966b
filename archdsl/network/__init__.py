"""`Network`, which `archdsl.load` returns: properties of a checked network, and methods that write each artefact."""

from archdsl.network.about import label_note as label_note
from archdsl.network.network import Network as Network
from archdsl.network.network import OutputKind as OutputKind
from archdsl.network.open import ArgValue as ArgValue
from archdsl.network.open import InputSize as InputSize
from archdsl.network.open import as_network as as_network
from archdsl.network.open import known_network as known_network
from archdsl.network.open import load as load
from archdsl.network.open import loads as loads
from archdsl.network.open import of_source as of_source
from archdsl.network.open import open_network as open_network
from archdsl.network.open import size_text as size_text
