package dev.zeusd.cli;

import dev.zeusd.client.ClientConfig;
import dev.zeusd.client.Endpoint;
import dev.zeusd.client.TlsFiles;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** Which daemon a command asks, and how. The token is in ZEUSD_TOKEN, where ps does not show it. */
final class DaemonOptions {
  @Spec(Spec.Target.MIXEE)
  private CommandSpec spec;

  @Option(
      names = "--connect",
      paramLabel = "<ADDRESS>",
      converter = Addresses.class,
      description =
          "The daemon: the path of its socket, host:port, or https://host:port; its token comes"
              + " from ZEUSD_TOKEN [default: ZEUSD_SOCK_PATH, else ZEUSD_HOST_PORT, else"
              + " /var/run/zeusd.sock or, for a service, /run/zeusd/zeusd.sock]")
  private List<Endpoint> endpoints = List.of();

  @Option(
      names = "--tls-ca",
      paramLabel = "<FILE>",
      converter = Converters.FilePath.class,
      description = "With https: the CA to trust (PEM) [default: those that Java trusts]")
  private Path tlsCa;

  @Option(
      names = "--tls-cert",
      paramLabel = "<FILE>",
      converter = Converters.FilePath.class,
      description = "With https: the certificate to show the daemon (PEM), with --tls-key")
  private Path tlsCert;

  @Option(
      names = "--tls-key",
      paramLabel = "<FILE>",
      converter = Converters.FilePath.class,
      description = "With https: the key of --tls-cert (PEM, PKCS#8)")
  private Path tlsKey;

  /** Several at once, as for {@link Converters.Groups}. */
  static final class Addresses implements ITypeConverter<List<Endpoint>> {
    @Override
    public List<Endpoint> convert(String text) {
      try {
        return Arrays.stream(text.split(",", -1)).map(Endpoint::parse).toList();
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }

  /**
   * How to reach the one daemon.
   *
   * @throws ParameterException if there are several, or the environment makes no sense
   * @throws StartupException if a file of TLS cannot be read
   */
  ClientConfig one() {
    List<ClientConfig> all = all();
    if (all.size() > 1) {
      throw new ParameterException(spec.commandLine(), "this command asks one daemon only");
    }
    return all.getFirst();
  }

  /** How to reach each of the daemons; the same exceptions, but for one of several. */
  List<ClientConfig> all() {
    if ((tlsCert == null) != (tlsKey == null)) {
      throw new ParameterException(spec.commandLine(), "--tls-cert and --tls-key go together");
    }
    try {
      List<Endpoint> wanted = endpoints.isEmpty() ? List.of(Endpoint.fromEnvironment()) : endpoints;
      return wanted.stream().map(this::config).toList();
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), e.getMessage(), e);
    }
  }

  private ClientConfig config(Endpoint endpoint) {
    ClientConfig config = ClientConfig.of(endpoint).withTokenFrom(System.getenv());
    if (!(endpoint instanceof Endpoint.Tls) || (tlsCa == null && tlsCert == null)) {
      return config;
    }
    Optional<TlsFiles.Identity> identity =
        tlsCert == null ? Optional.empty() : Optional.of(new TlsFiles.Identity(tlsCert, tlsKey));
    try {
      return config.withSslContext(new TlsFiles(Optional.ofNullable(tlsCa), identity).context());
    } catch (IOException e) {
      throw new StartupException("cannot use the files of TLS: " + e.getMessage());
    }
  }
}
