"""`python -m services.stream`."""

from services.stream.app import create_app
from services.stream.handoff import HandoffProtocol, SocketProtocol
from services.stream.settings import StreamSettings
from shared.kit.serve import serve
from shared.kit.settings import load_settings

if __name__ == "__main__":
    settings = load_settings(StreamSettings)
    serve("stream", create_app(settings), settings, http=HandoffProtocol, ws=SocketProtocol)
