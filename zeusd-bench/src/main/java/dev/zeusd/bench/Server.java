package dev.zeusd.bench;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** A running server: a daemon on its fake driver, or the echo server. */
final class Server implements AutoCloseable {
  private static final long START_SECONDS = 60;
  private static final long STOP_SECONDS = 5;
  private static final int LAST_LINES = 5;
  private static final int LINE_LENGTH = 200;
  private static final long QUIET_MILLIS = 100;
  private static final long QUIET_LIMIT_SECONDS = 5;

  private final Process process;
  private final FakeDriver driver;
  private final String address;
  private final List<String> headers;
  private final Path log;

  private Server(
      Process process, FakeDriver driver, String address, List<String> headers, Path log) {
    this.process = process;
    this.driver = driver;
    this.address = address;
    this.headers = headers;
    this.log = log;
  }

  /**
   * Starts a server and waits until it can be connected to.
   *
   * @param command its command line
   * @param driver the driver that it will find; the echo server looks for none
   * @param address where it will listen
   * @param headers what a request needs
   * @param log gets what it says
   */
  static Server start(
      List<String> command, FakeDriver driver, String address, List<String> headers, Path log)
      throws BenchException, InterruptedException {
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
    builder.environment().putAll(driver.environment());
    builder.environment().put("NO_COLOR", "1");
    Server server;
    try {
      server = new Server(builder.start(), driver, address, headers, log);
    } catch (IOException e) {
      throw new BenchException("cannot run " + command.getFirst() + ": " + e.getMessage(), e);
    }
    try {
      server.awaitListening();
    } catch (BenchException | InterruptedException e) {
      server.close();
      throw e;
    }
    return server;
  }

  /** A TCP address that nobody listens on. */
  static String freeTcpAddress() throws BenchException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return "127.0.0.1:" + socket.getLocalPort();
    } catch (IOException e) {
      throw new BenchException("no free TCP port: " + e.getMessage(), e);
    }
  }

  private void awaitListening() throws BenchException, InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(START_SECONDS);
    while (!canConnect()) {
      if (!process.isAlive() || System.nanoTime() > deadline) {
        throw new BenchException("does not listen at " + address + ": " + lastWords());
      }
      Thread.sleep(1);
    }
  }

  private boolean canConnect() {
    try (SocketChannel channel =
        address.startsWith("/")
            ? SocketChannel.open(UnixDomainSocketAddress.of(address))
            : connectTcp()) {
      return channel.isConnected();
    } catch (IOException e) {
      return false;
    }
  }

  /**
   * From another one of our own addresses: a client that gets the very port that it connects to,
   * before the server listens there, would be connected with itself.
   */
  private SocketChannel connectTcp() throws IOException {
    SocketChannel channel = SocketChannel.open();
    try {
      channel.bind(new InetSocketAddress("127.0.0.2", 0));
      int port = Integer.parseInt(address.substring(address.lastIndexOf(':') + 1));
      channel.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
      return channel;
    } catch (IOException e) {
      channel.close();
      throw e;
    }
  }

  /** Path of the socket, or host and port. */
  String address() {
    return address;
  }

  /** The process of the server itself. */
  long pid() {
    return process.pid();
  }

  /** The driver that it calls. */
  FakeDriver driver() {
    return driver;
  }

  /** From now on, every driver call on a GPU takes this long. */
  void delayCalls(Duration delay) throws BenchException {
    try {
      driver.delayCalls(delay);
    } catch (IOException e) {
      throw new BenchException("the fake driver's control file: " + e.getMessage(), e);
    }
  }

  /** Header lines that every request needs. */
  List<String> headers() {
    return headers;
  }

  /** The last lines that it said, cut where they are long. */
  String lastWords() {
    try {
      List<String> lines = Files.readAllLines(log, StandardCharsets.ISO_8859_1);
      return lines.subList(Math.max(0, lines.size() - LAST_LINES), lines.size()).stream()
          .map(line -> line.substring(0, Math.min(line.length(), LINE_LENGTH)))
          .collect(Collectors.joining("\n"));
    } catch (IOException e) {
      return e.toString();
    }
  }

  /**
   * Waits until it has nothing more to do, such as compiling, or closing streams: that would be
   * counted as somebody else's noise.
   */
  void awaitQuiet() throws InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(QUIET_LIMIT_SECONDS);
    Duration before;
    Duration now = cpuTime();
    do {
      before = now;
      Thread.sleep(QUIET_MILLIS);
      now = cpuTime();
    } while (!now.equals(before) && System.nanoTime() < deadline);
  }

  /** In ticks of 10 ms; what is reported, the load generator reads exactly. */
  private Duration cpuTime() {
    return process.info().totalCpuDuration().orElse(Duration.ZERO);
  }

  /** Stops it; one that does not end is killed. */
  @Override
  public void close() {
    process.destroy();
    try {
      if (!process.waitFor(STOP_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }
}
