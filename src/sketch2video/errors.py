"""The one exception for mistakes that a user can mend."""


class UserError(Exception):
    """Something outside the program is wrong: a file, a row, a key, a value.

    The message is one line that names the thing and the mend. Commands print it and exit with code 2.
    """
