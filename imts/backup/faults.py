"""Why a backup or a restore did not happen."""


class BackupFault(Exception):
    """One sentence for the person at the terminal; nothing was changed, or what was changed is named."""
