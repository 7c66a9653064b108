"""`python -m tests.support.next_release FOLDER`: the files in which the release after this one differs."""

import sys
from pathlib import Path

from tests.support.releases import install, next_code, present_code

present = present_code()
changed = {name: content for name, content in next_code().items() if present.get(name) != content}
install(changed, Path(sys.argv[1]))
