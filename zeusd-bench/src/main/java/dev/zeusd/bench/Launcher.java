package dev.zeusd.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;

/** Starts the servers, each with sockets and files of its own in one scratch folder. */
final class Launcher {
  private final Path echo;
  private final Path fakeNvml;
  private final Path scratch;
  private final Path signingKey;
  private int started;

  /**
   * Uses the programs that the build made.
   *
   * @param echo the echo server
   * @param fakeNvml the folder with the fake libnvidia-ml.so.1
   * @param scratch an empty folder, with a path that is short enough for sockets
   */
  Launcher(Path echo, Path fakeNvml, Path scratch) throws BenchException {
    this.echo = echo;
    this.fakeNvml = fakeNvml;
    this.scratch = scratch;
    this.signingKey = scratch.resolve("signing.key");
    try {
      Files.createFile(
          signingKey,
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
      Files.writeString(signingKey, "0123456789abcdef0123456789abcdef\n");
    } catch (IOException e) {
      throw new BenchException("cannot write " + signingKey + ": " + e.getMessage(), e);
    }
  }

  /** A daemon that is ready. */
  Server daemon(Contender contender, Setup setup) throws BenchException, InterruptedException {
    String address = address(setup);
    List<String> headers =
        setup.hasAuth()
            ? List.of("Authorization: Bearer " + contender.issueToken(signingKey))
            : List.of();
    return start(contender.serveCommand(setup, address, signingKey), setup, address, headers);
  }

  /** The floor: an echo server that is ready, whose responses have so many bytes. */
  Server echo(Setup setup, long responseBytes) throws BenchException, InterruptedException {
    String address = address(setup);
    List<String> command = List.of(echo.toString(), address, String.valueOf(responseBytes));
    return start(command, setup, address, List.of());
  }

  private String address(Setup setup) throws BenchException {
    started++;
    return setup.isTcp() ? Server.freeTcpAddress() : scratch.resolve(started + ".sock").toString();
  }

  private Server start(List<String> command, Setup setup, String address, List<String> headers)
      throws BenchException, InterruptedException {
    FakeDriver driver =
        new FakeDriver(fakeNvml, scratch.resolve(started + ".state"), setup.gpus(), setup.power());
    Server server =
        Server.start(command, driver, address, headers, scratch.resolve(started + ".log"));
    if (!setup.callTime().isZero()) {
      server.delayCalls(setup.callTime());
    }
    return server;
  }
}
