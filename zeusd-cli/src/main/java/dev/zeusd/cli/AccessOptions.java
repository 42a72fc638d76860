package dev.zeusd.cli;

import dev.zeusd.server.auth.RevokedTokens;
import dev.zeusd.server.auth.Tokens;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Option;

/** Options of {@code zeusd serve}: who may do what. */
final class AccessOptions {
  /** Of {@code --revoked-tokens}. */
  static final String DEFAULT_REVOKED_TOKENS = "/etc/zeusd/revoked-tokens";

  @Option(
      names = "--signing-key-path",
      paramLabel = "<PATH>",
      converter = Converters.FilePaths.class,
      description =
          "Path of the HMAC-SHA256 signing key; requests then need a token. Repeated during a"
              + " change of keys: tokens of all are taken [default: no authentication]")
  private List<Path> signingKeyPaths = List.of();

  @Option(
      names = "--revoked-tokens",
      paramLabel = "<PATH>",
      defaultValue = AccessOptions.DEFAULT_REVOKED_TOKENS,
      converter = Converters.FilePath.class,
      description =
          "Ids of tokens that are no longer taken, as zeusd token revoke writes them; read at the"
              + " start and at SIGHUP, need not exist [default: ${DEFAULT-VALUE}]")
  private Path revokedTokens;

  /**
   * What tokens are checked with.
   *
   * @throws dev.zeusd.server.ServerStartException for a key that cannot be used
   */
  Optional<Tokens> tokens() {
    return signingKeyPaths.isEmpty()
        ? Optional.empty()
        : Optional.of(
            Tokens.withKeyFiles(signingKeyPaths).withRevoked(RevokedTokens.read(revokedTokens)));
  }
}
