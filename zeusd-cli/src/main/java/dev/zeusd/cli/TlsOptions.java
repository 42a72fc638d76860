package dev.zeusd.cli;

import dev.zeusd.server.tls.TlsFiles;
import dev.zeusd.server.tls.TlsVersion;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** Options of {@code zeusd serve} for {@code --mode tls}. */
final class TlsOptions {
  @Option(
      names = "--tls-bind-address",
      paramLabel = "<HOST:PORT>",
      defaultValue = "127.0.0.1:4939",
      converter = HostAndPort.Converter.class,
      description = "[tls] Address to listen at [default: ${DEFAULT-VALUE}]")
  private HostAndPort bindAddress;

  @Option(
      names = "--tls-cert",
      paramLabel = "<PATH>",
      converter = Converters.FilePath.class,
      description =
          "[tls] Certificate of this daemon, followed by those of its issuers (PEM). Read again at"
              + " SIGHUP, like the next two")
  private Path certificates;

  @Option(
      names = "--tls-key",
      paramLabel = "<PATH>",
      converter = Converters.FilePath.class,
      description = "[tls] Private key of that certificate (PEM, not encrypted)")
  private Path key;

  @Option(
      names = "--tls-client-ca",
      paramLabel = "<PATH>",
      converter = Converters.FilePath.class,
      description =
          "[tls] Certificates (PEM) of authorities: clients then need a certificate that one of"
              + " these has issued [default: clients need none]")
  private Path clientCa;

  @Option(
      names = "--tls-min-version",
      paramLabel = "<VERSION>",
      defaultValue = "1.3",
      converter = Converters.OldestTls.class,
      completionCandidates = Converters.OldestTls.class,
      description = "[tls] Oldest version of TLS to accept: 1.2 or 1.3 [default: ${DEFAULT-VALUE}]")
  private TlsVersion oldest;

  HostAndPort bindAddress() {
    return bindAddress;
  }

  /**
   * The files, if TLS is spoken.
   *
   * @throws ParameterException if they are missing, or would have no effect
   */
  Optional<TlsFiles> files(boolean isSpoken, CommandLine commandLine) {
    boolean areGiven = certificates != null && key != null;
    if (isSpoken && !areGiven) {
      throw new ParameterException(
          commandLine,
          "--mode tls needs --tls-cert and --tls-key: files with a certificate and its key");
    }
    if (!isSpoken && (certificates != null || key != null || clientCa != null)) {
      throw new ParameterException(
          commandLine,
          "--tls-cert, --tls-key and --tls-client-ca have no effect without --mode tls (or"
              + " uds,tls)");
    }
    return isSpoken
        ? Optional.of(new TlsFiles(certificates, key, Optional.ofNullable(clientCa), oldest))
        : Optional.empty();
  }
}
