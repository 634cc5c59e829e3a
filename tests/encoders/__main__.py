"""Random addresses through other people's encoders, into a running relay.

python3 -m tests.encoders                        1,000 cases and the kept ones
python3 -m tests.encoders --full                 20,000
python3 -m tests.encoders --only json-text,zip   cases that use one of these
python3 -m tests.encoders --case 'json-text > zip @ nodemailer # 7'
python3 -m tests.encoders --list                 every encoder, and what must come of it
"""

from tests.encoders.needs import complain

complain()

from tests.encoders.run import main  # noqa: E402 (only when everything is there)

main()
