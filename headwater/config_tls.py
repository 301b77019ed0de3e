"""The settings of listeners with TLS, the same for MQTT and HTTP.

In and out: as for `headwater.config`, whose part they are.
"""

from typing import Literal

from pydantic import Field, model_validator

from headwater.config_section import Section
from headwater.quantities import Duration


# fmt: off
class Tls(Section):
    """A listener with TLS beside the plain one; it is there when `listen` is set. Its files are read again when they change."""

    listen: str = Field(default="", description="Address and port. Empty: no listener with TLS.")
    certificate: str = Field(default="", description="File with this server's certificate and what leads from it to its CA (PEM).")
    key: str = Field(default="", description="File with its private key (PEM, not encrypted).")
    client_ca: str = Field(default="", description="File with the CAs whose client certificates are believed (PEM).")
    client: Literal["none", "optional", "required"] = Field(default="none", description="Whether clients show a certificate. One that is shown must be signed by `client_ca`.")
    identity: Literal["registry", "cn", "san", "none"] = Field(default="registry", description="Whose a client's certificate is: the registry says so; its common name, or its one DNS name, is the device; or nobody's: a token is needed as well.")
    minimum: Literal["TLSv1.2", "TLSv1.3"] = Field(default="TLSv1.2", description="The oldest TLS version that is spoken.")
    handshake_time: Duration = Field(default=10, description="How long a TLS handshake may take.")

    @model_validator(mode="after")
    def _whole(self) -> "Tls":
        if self.listen:
            host, colon, port = self.listen.rpartition(":")
            if not colon or not host or not port.isdigit() or int(port) > 65535:
                raise ValueError(f"listen: {self.listen!r} is not HOST:PORT")
            for name in ("certificate", "key"):
                if not getattr(self, name):
                    raise ValueError(f"{name}: a listener with TLS needs this file")
            if self.client != "none" and not self.client_ca:
                raise ValueError("client_ca: client certificates need the CA that signs them")
        return self


# fmt: on
