"""Diagnostics: what is wrong, where, and how to repair it; as data, text, JSON and SARIF.

A `Diagnostic` has a stable code, a severity, a short message, a span, labels for further spans, notes, a help line
and fixes.
`text` and `machine` print the same data.
"""

from archdsl.diagnostics.diagnostic import Diagnostic as Diagnostic
from archdsl.diagnostics.diagnostic import Severity as Severity
from archdsl.diagnostics.error import ArchError as ArchError
from archdsl.diagnostics.error import error as error
from archdsl.diagnostics.fixes import Edit as Edit
from archdsl.diagnostics.fixes import Fix as Fix
from archdsl.diagnostics.fixes import Proposal as Proposal
from archdsl.diagnostics.fixes import removing as removing
from archdsl.diagnostics.fixes import replacing as replacing
from archdsl.diagnostics.place import CallSite as CallSite
from archdsl.diagnostics.place import Label as Label
from archdsl.diagnostics.place import Origin as Origin
from archdsl.diagnostics.place import Source as Source
from archdsl.diagnostics.place import Span as Span
from archdsl.diagnostics.report import Report as Report
from archdsl.diagnostics.report import TooManyErrors as TooManyErrors
from archdsl.diagnostics.suggest import closest as closest
from archdsl.diagnostics.suggest import did_you_mean as did_you_mean
from archdsl.diagnostics.suggest import suggestion as suggestion
from archdsl.diagnostics.text import escape_control as escape_control
from archdsl.diagnostics.text import json_visible as json_visible
from archdsl.diagnostics.text import line_start as line_start
from archdsl.diagnostics.text import render_text as render_text
