package dev.zeusd.cli;

import dev.zeusd.server.auth.Tokens;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Option;

/** Options of {@code zeusd serve}: who may do what. */
final class AccessOptions {
  @Option(
      names = "--signing-key-path",
      paramLabel = "<PATH>",
      converter = Converters.FilePath.class,
      description =
          "Path of the HMAC-SHA256 signing key; requests then need a token"
              + " [default: no authentication]")
  private Path signingKeyPath;

  /**
   * What tokens are checked with.
   *
   * @throws dev.zeusd.server.ServerStartException for a key that cannot be used
   */
  Optional<Tokens> tokens() {
    return Optional.ofNullable(signingKeyPath).map(Tokens::withKeyFile);
  }
}
