package dev.zeusd.cli;

import dev.zeusd.server.auth.Claims;
import dev.zeusd.server.auth.RevokedTokens;
import dev.zeusd.server.auth.TokenText;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code zeusd token revoke}: adds a token's id to the file that daemons read. */
@Command(
    name = "revoke",
    description = "Revoke a token: daemons refuse it from their next start or SIGHUP on",
    mixinStandardHelpOptions = true,
    versionProvider = Zeusd.Version.class,
    sortOptions = false)
final class TokenRevokeCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      paramLabel = "TOKEN",
      description = {
        "The token, or - to read it from stdin, so that ps does not show it;",
        "  or its id, which zeusd token show prints"
      })
  private String argument;

  @Option(
      names = "--revoked-tokens",
      paramLabel = "<PATH>",
      defaultValue = AccessOptions.DEFAULT_REVOKED_TOKENS,
      converter = Converters.FilePath.class,
      description = "The file that zeusd serve reads [default: ${DEFAULT-VALUE}]")
  private Path revokedTokens;

  @Override
  public Integer call() throws IOException {
    Logging.setUp(Logging.LogLevel.INFO);
    String given = GivenToken.text(argument);
    String id = given;
    String comment = "revoked at " + Instant.now().truncatedTo(ChronoUnit.SECONDS);
    if (isToken(given)) {
      TokenText text = GivenToken.parse(given, spec);
      Claims claims = text.claims();
      id = text.id();
      comment =
          "%s, until %s, %s"
              .formatted(
                  claims.sub(), claims.exp().map(Instant::toString).orElse("for ever"), comment);
    } else if (!TokenText.isId(given)) {
      throw new ParameterException(
          spec.commandLine(), "what was given is neither a token nor the id of one");
    }
    boolean isNew = RevokedTokens.add(revokedTokens, id, comment);
    PrintWriter out = spec.commandLine().getOut();
    out.println(
        isNew
            ? id + " is in " + revokedTokens + " now; daemons read it at: systemctl reload zeusd"
            : id + " was in " + revokedTokens + " already");
    out.flush();
    return 0;
  }

  /** An id may have dots in it, too, but no JSON in base64 at its beginning. */
  private static boolean isToken(String text) {
    return text.startsWith("eyJ") && text.chars().filter(c -> c == '.').count() == 2;
  }
}
