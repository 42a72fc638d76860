package dev.zeusd.cli;

import dev.zeusd.server.auth.Claims;
import dev.zeusd.server.auth.InvalidTokenException;
import dev.zeusd.server.auth.RevokedTokens;
import dev.zeusd.server.auth.TokenText;
import dev.zeusd.server.auth.Tokens;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code zeusd token show}: what stands in a token; and, with the key, whether it is good. */
@Command(
    name = "show",
    description = "Show what a token says; with the key, also whether it is valid",
    mixinStandardHelpOptions = true,
    versionProvider = Zeusd.Version.class,
    sortOptions = false)
final class TokenShowCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      paramLabel = "TOKEN",
      description = "The token, or - to read it from stdin, so that ps does not show it")
  private String argument;

  @Option(
      names = "--signing-key-path",
      paramLabel = "<PATH>",
      converter = Converters.FilePaths.class,
      description = "Path of the signing key, to check the token with; may be repeated")
  private List<Path> signingKeyPaths = List.of();

  @Option(
      names = "--revoked-tokens",
      paramLabel = "<PATH>",
      defaultValue = AccessOptions.DEFAULT_REVOKED_TOKENS,
      converter = Converters.FilePath.class,
      description = "With the key: the file of revoked tokens [default: ${DEFAULT-VALUE}]")
  private Path revokedTokens;

  @Override
  public Integer call() throws IOException {
    Logging.setUp(Logging.LogLevel.INFO);
    String token = GivenToken.text(argument);
    TokenText text = GivenToken.parse(token, spec);
    Claims claims = text.claims();
    print("user", claims.sub());
    print("scopes", claims.scopes().isEmpty() ? "none" : String.join(", ", claims.scopes()));
    print("expires", claims.exp().map(Instant::toString).orElse("never"));
    print("id", text.id());
    print("key id", text.keyId().orElse("not told"));
    if (signingKeyPaths.isEmpty()) {
      print("accepted", "not checked: that needs --signing-key-path");
      return 0;
    }
    Optional<String> refusal = refusal(token);
    print("accepted", refusal.map(why -> "no: " + why).orElse("yes"));
    return refusal.isPresent() ? 1 : 0;
  }

  /** Why a daemon would not take it. */
  private Optional<String> refusal(String token) {
    try {
      Tokens.withKeyFiles(signingKeyPaths)
          .withRevoked(RevokedTokens.read(revokedTokens))
          .verify(token);
      return Optional.empty();
    } catch (InvalidTokenException e) {
      return Optional.of(e.getMessage());
    }
  }

  /** What comes from the token may hold anything; a line stays one line. */
  private void print(String name, String value) {
    PrintWriter out = spec.commandLine().getOut();
    out.printf("%-10s%s%n", name + ":", Logging.harmless(value));
    out.flush();
  }
}
