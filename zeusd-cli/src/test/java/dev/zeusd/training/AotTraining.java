package dev.zeusd.training;

import dev.zeusd.cli.Zeusd;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.net.SocketException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.Provider;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/**
 * The runs from which the AOT caches of the installed daemon are made, one for {@code zeusd serve}
 * and one for the other commands. The JVM loads and links each class of its cache at each start,
 * used or not, so that each run does what nearly everybody needs, and nothing else.
 *
 * <p>It is in no jar of the daemon. The JVM takes a cache only on the class path that it was made
 * with, so this cannot stand there either: src/dist/build.sh lets {@code keytool} load it, which is
 * in every Java runtime and takes a security provider from any folder. That is all the provider
 * there is: the JVM ends when it is configured.
 */
public final class AotTraining extends Provider {
  private static final long serialVersionUID = 1L;

  private static final int ROUNDS = 300;
  private static final int FEW_ROUNDS = 50;
  private static final List<String> READS =
      List.of(
          "/discover",
          "/time",
          "/auth/whoami",
          "/gpu/get_power",
          "/gpu/get_power?gpu_ids=0,1",
          "/gpu/get_cumulative_energy",
          "/gpu/get_power_limit",
          "/gpu/get_power_limit_constraints",
          "/gpu/get_persistence_mode",
          "/gpu/get_telemetry?gpu_ids=0",
          "/cpu/get_cumulative_energy?cpu=true&dram=true",
          "/gpu/get_power?gpu_ids=x",
          "/nothing");
  private static final String SET_LIMIT =
      "/gpu/set_power_limit?gpu_ids=0,1&power_limit_mw=300000&block=true";
  private static final List<String> WRITES =
      List.of(
          SET_LIMIT,
          "/gpu/set_gpu_locked_clocks?gpu_ids=0&min_clock_mhz=900&max_clock_mhz=1200&block=true",
          "/gpu/set_persistence_mode?gpu_ids=0&enabled=true&block=true",
          "/gpu/reset_power_limit?gpu_ids=0&block=true",
          "/gpu/reset_locked_clocks?gpu_ids=0&block=false");
  private static final Pattern LEASE =
      Pattern.compile("\"lease_id\":\"([0-9a-f]+)\",\"epoch\":([0-9]+)");

  /** Made by keytool. */
  public AotTraining() {
    super("AotTraining", "1", "no provider of anything");
  }

  /**
   * Does a run, and ends the JVM: with status 0 if all went well.
   *
   * @param run {@code serve}; or the socket of a daemon that the other commands are run against
   */
  @Override
  public Provider configure(String run) {
    try {
      Path directory = Files.createTempDirectory("zeusd-training");
      if (run.equals("serve")) {
        trainServe(directory);
      } else {
        trainCommands(directory, Path.of(run));
      }
      // How each command ends.
      Zeusd.main(new String[] {"--version"});
    } catch (Throwable e) {
      e.printStackTrace();
      System.exit(1);
    }
    return this;
  }

  /**
   * Two real daemons over their endpoints: one simulated, with tokens, and one with the GPUs that
   * NVML shows (in the build, those of the fake one). No configuration file is read: the classes of
   * a TOML parser take 3 MB and a tenth of a second.
   */
  private static void trainServe(Path directory) throws Exception {
    Path key = secret(directory.resolve("key"), "0123456789abcdef0123456789abcdef");
    String header = "Authorization: Bearer " + issueToken(key) + "\r\n";
    Path simulated = directory.resolve("simulated");
    Path real = directory.resolve("real");
    serve(
        "--simulate --signing-key-path "
            + key
            + " --state-dir "
            + directory.resolve("state")
            + " --socket-path "
            + simulated);
    serve(
        "--enable gpu-read --gpu-power-poll-hz 100 --state-dir "
            + directory.resolve("real-state")
            + " --socket-path "
            + real);
    for (String stream :
        List.of("/gpu/stream_power", "/gpu/stream_power?format=snapshot", "/cpu/stream_power")) {
      stream(simulated, "GET " + stream, header);
    }
    request(simulated, header);
    lease(simulated, header);
    scrape(simulated, header);
    stream(real, "GET /gpu/stream_power", "");
    request(real, "");
    scrape(real, "");
  }

  /**
   * The commands that are in scripts, and help. None of tokens: zeusd run would load the library of
   * those each time, and look through all jars for two of its classes that no cache takes.
   */
  private static void trainCommands(Path directory, Path daemon) throws Exception {
    connect(daemon).close();
    String connect = " --connect " + daemon;
    for (String command : List.of("--help", "--version", "help serve", "run --help")) {
      execute(command);
    }
    execute("run" + connect + " -- true");
    execute(
        "run --power-limit 300W --gpu-clocks 900-1400 --json "
            + directory.resolve("report")
            + connect
            + " -- true");
    String window = execute("energy begin --name training" + connect).strip();
    execute("energy show --json" + connect + " " + window);
    execute("energy end" + connect + " " + window);
  }

  private static String issueToken(Path key) {
    return execute(
            "token issue --user training --scope gpu-read,gpu-control,cpu-read --expires 1h"
                + " --signing-key-path "
                + key)
        .strip();
  }

  private static Path secret(Path file, String text) throws IOException {
    Files.writeString(file, text);
    return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
  }

  // ---- What clients do ----

  /** Takes some of a stream; steady power has its heartbeats. */
  private static void stream(Path socket, String target, String header)
      throws IOException, InterruptedException {
    try (SocketChannel channel = connect(socket)) {
      exchange(channel, target, header);
      for (int i = 0; i < 5; i++) {
        receive(channel);
      }
    }
  }

  private static void request(Path socket, String header) throws IOException, InterruptedException {
    for (int round = 0; round < ROUNDS; round++) {
      try (SocketChannel channel = connect(socket)) {
        for (String read : READS) {
          exchange(channel, "GET " + read, header);
        }
        for (String write : WRITES) {
          exchange(channel, "POST " + write, header);
        }
      }
    }
  }

  /** From taking it to giving it back, with a write in between. */
  private static void lease(Path socket, String header) throws IOException, InterruptedException {
    for (int round = 0; round < FEW_ROUNDS; round++) {
      try (SocketChannel channel = connect(socket)) {
        String taken =
            exchange(
                channel, "POST /lease?gpu_ids=0,1&keys=power_limit,gpu_clocks&ttl_s=30", header);
        MatchResult lease =
            LEASE
                .matcher(taken)
                .results()
                .findFirst()
                .orElseThrow(() -> new IOException("no lease: " + taken));
        String id = "lease_id=" + lease.group(1);
        exchange(
            channel,
            "POST " + SET_LIMIT,
            header + "Zeusd-Lease: " + lease.group(1) + ":" + lease.group(2) + "\r\n");
        exchange(channel, "POST /lease/renew?" + id, header);
        exchange(channel, "GET /leases", header);
        try (SocketChannel holder = connect(socket)) {
          exchange(holder, "GET /lease/hold?" + id, header);
        }
        exchange(channel, "POST /lease/end?" + id, header);
      }
    }
  }

  /** As Prometheus does; the answers are long, so that each is read to its end. */
  private static void scrape(Path socket, String header) throws IOException, InterruptedException {
    String close = header + "Connection: close\r\n";
    for (int round = 0; round < FEW_ROUNDS; round++) {
      for (String accept : List.of("text/plain", "application/openmetrics-text;version=1.0.0")) {
        try (SocketChannel channel = connect(socket)) {
          String target = round % 10 == 0 ? "/metrics?names=dcgm" : "/metrics";
          exchange(channel, "GET " + target, close + "Accept: " + accept + "\r\n");
          ByteBuffer rest = ByteBuffer.allocate(65536);
          while (channel.read(rest) >= 0) {
            rest.clear();
          }
        }
      }
    }
  }

  private static SocketChannel connect(Path socket) throws IOException, InterruptedException {
    UnixDomainSocketAddress address = UnixDomainSocketAddress.of(socket);
    for (int i = 0; true; i++) {
      try {
        return SocketChannel.open(address);
      } catch (SocketException e) {
        // Not there yet; or there, and it listens in a moment.
        if (i == 1000) {
          throw e;
        }
        Thread.sleep(10);
      }
    }
  }

  /** Sends a request, and returns some of the answer. */
  private static String exchange(SocketChannel channel, String request, String header)
      throws IOException {
    String text = request + " HTTP/1.1\r\nHost: localhost\r\n" + header + "\r\n";
    channel.write(ByteBuffer.wrap(text.getBytes(StandardCharsets.US_ASCII)));
    return receive(channel);
  }

  private static String receive(SocketChannel channel) throws IOException {
    ByteBuffer answer = ByteBuffer.allocate(65536);
    if (channel.read(answer) < 0) {
      throw new IOException("the daemon has closed the connection");
    }
    return new String(answer.array(), 0, answer.position(), StandardCharsets.ISO_8859_1);
  }

  // ---- The commands ----

  private static void serve(String options) {
    Thread.ofPlatform().daemon().start(() -> run("serve " + options));
  }

  /** What a command prints; one at a time, but for serve, which prints nothing. */
  private static String execute(String commandLine) {
    PrintStream out = System.out;
    ByteArrayOutputStream said = new ByteArrayOutputStream();
    System.setOut(new PrintStream(said, true, StandardCharsets.UTF_8));
    try {
      run(commandLine);
    } finally {
      System.setOut(out);
    }
    return said.toString(StandardCharsets.UTF_8);
  }

  private static void run(String commandLine) {
    int status;
    try {
      // Not public; and this class, which is loaded by another loader, is not of its package.
      Method run = Zeusd.class.getDeclaredMethod("run", String[].class);
      run.setAccessible(true);
      status = (int) run.invoke(null, (Object) commandLine.split(" "));
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
    if (status != 0) {
      throw new IllegalStateException(commandLine + " ended with status " + status);
    }
  }
}
