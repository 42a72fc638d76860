package dev.zeusd.cli;

import dev.zeusd.server.audit.AuditTarget;
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
          "Path of the HMAC-SHA256 signing key; requests then need a token. May be repeated:"
              + " tokens of all these keys are accepted [default: no authentication]")
  private List<Path> signingKeyPaths = List.of();

  @Option(
      names = "--revoked-tokens",
      paramLabel = "<PATH>",
      defaultValue = AccessOptions.DEFAULT_REVOKED_TOKENS,
      converter = Converters.FilePath.class,
      description =
          "File with the ids of revoked tokens, which zeusd token revoke writes; read at the start"
              + " and at SIGHUP; may be missing [default: ${DEFAULT-VALUE}]")
  private Path revokedTokens;

  /** Values of {@code --audit-failure}. */
  enum AuditFailure {
    CONTINUE,
    REFUSE
  }

  @Option(
      names = "--audit-log",
      paramLabel = "<FILE>|journal",
      converter = Converters.AuditLog.class,
      description =
          "Where to log, as JSON, who changes what and who is refused: in a file, which SIGHUP"
              + " reopens, or in systemd's journal [default: nowhere]")
  private AuditTarget auditLog;

  @Option(
      names = "--audit-failure",
      paramLabel = "<WHAT>",
      defaultValue = "continue",
      converter = Converters.AuditFailure.class,
      description = {
        "What to do while the audit log cannot be written [default: ${DEFAULT-VALUE}]",
        "  continue:  go on, and write it later",
        "  refuse:    answer requests for changes with 503"
      })
  private AuditFailure auditFailure;

  /** Where the audit log is, if there is to be one. */
  Optional<AuditTarget> auditTarget() {
    return Optional.ofNullable(auditLog);
  }

  /** Whether nothing may be changed that cannot be logged. */
  boolean requiresAudit() {
    return auditFailure == AuditFailure.REFUSE;
  }

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
