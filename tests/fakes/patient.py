"""`anyclawctl` that gives its daemon all the time that a machine needs.

What a person waits for with a key held down gives up after a second or two. That is no claim of
the tests that look at what it says when it is answered.
"""

import sys

_CODE = """\
import sys
from anyclawd.cli import cmd_complete, version
from anyclawd.cli.main import main
cmd_complete._PATIENCE_S = version._ANSWER_S = 600.0
sys.exit(main(sys.argv[1:]))
"""

#: What the words of a command line come behind.
PATIENT = (sys.executable, "-c", _CODE)
