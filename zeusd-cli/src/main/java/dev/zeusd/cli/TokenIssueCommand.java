package dev.zeusd.cli;

import dev.zeusd.server.auth.Claims;
import dev.zeusd.server.auth.Tokens;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code zeusd token issue}: prints a token, and nothing else, on stdout. */
@Command(
    name = "issue",
    description = "Issue a token (JWT) for a user",
    mixinStandardHelpOptions = true,
    versionProvider = Zeusd.Version.class,
    sortOptions = false)
final class TokenIssueCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--signing-key-path",
      paramLabel = "<PATH>",
      converter = Converters.FilePaths.class,
      required = true,
      description = "Path of the HMAC-SHA256 signing key; if repeated, the first one signs")
  private List<Path> signingKeyPaths;

  @Option(
      names = "--key-id",
      paramLabel = "<ID>",
      description =
          "Sign with the key of this id, which zeusd token show prints [default: the first]")
  private String keyId;

  @Option(
      names = "--user",
      paramLabel = "<USER>",
      required = true,
      converter = Converters.User.class,
      description = "Whom the token is for (its `sub` claim)")
  private String user;

  @Option(
      names = "--scope",
      paramLabel = "<GROUP>[,<GROUP>...]",
      converter = Converters.Scopes.class,
      description = {
        "API groups to grant, comma-separated or repeated [default: none]",
        "  possible values: gpu-control, gpu-read, cpu-read,",
        "  lease-admin (to see all leases and end any)"
      })
  private List<String> scopes = List.of();

  @Option(
      names = "--expires",
      paramLabel = "<DURATION>",
      required = true,
      converter = DurationOrNever.Converter.class,
      description =
          "How long the token is valid: 1h, 7d, 30d, \"1h 30m\", 1.5h, 2weeks, 5000ms, ...;"
              + " never or 0 for a token that does not expire")
  private DurationOrNever expires;

  @Override
  public Integer call() {
    Logging.setUp(Logging.LogLevel.INFO);
    String token =
        tokens()
            .issue(
                new Claims(
                    user,
                    scopes.stream().distinct().toList(),
                    expires.duration().map(Instant.now()::plus)));
    spec.commandLine().getOut().println(token);
    spec.commandLine().getOut().flush();
    return 0;
  }

  private Tokens tokens() {
    Tokens tokens = Tokens.withKeyFiles(signingKeyPaths);
    return keyId == null
        ? tokens
        : tokens
            .signingWith(keyId)
            .orElseThrow(
                () ->
                    new ParameterException(
                        spec.commandLine(),
                        "no key has the id '" + keyId + "'; there are " + tokens.keyIds()));
  }
}
