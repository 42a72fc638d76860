package dev.zeusd.cli;

import dev.zeusd.server.auth.Claims;
import dev.zeusd.server.auth.Tokens;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.net.SocketException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine;

/**
 * The run from which the AOT cache of the installed daemon is made: every command, and two real
 * daemons over their endpoints, one simulated and one with the GPUs that NVML shows (in the build,
 * those of the fake one). No command leads here.
 */
final class AotTraining {
  private static final int ROUNDS = 300;
  private static final int SCRAPES = 50;
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
  private static final List<String> WRITES =
      List.of(
          "/gpu/set_power_limit?gpu_ids=0,1&power_limit_mw=300000&block=true",
          "/gpu/set_gpu_locked_clocks?gpu_ids=0&min_clock_mhz=900&max_clock_mhz=1200&block=true",
          "/gpu/set_persistence_mode?gpu_ids=0&enabled=true&block=true",
          "/gpu/reset_power_limit?gpu_ids=0&block=true",
          "/gpu/reset_locked_clocks?gpu_ids=0&block=false");

  private AotTraining() {}

  /** Ends with status 0 after the run. */
  public static void main(String[] args) throws IOException, InterruptedException {
    Path dir = Files.createTempDirectory("zeusd-training");
    Path key = Files.writeString(dir.resolve("key"), "0123456789abcdef0123456789abcdef");
    for (String command : List.of("--help", "--version", "help serve", "serve --help")) {
      execute(command.split(" "));
    }
    execute(
        ("token issue --user training --scope gpu-read,gpu-control,cpu-read --expires 1h"
                + " --signing-key-path "
                + key)
            .split(" "));
    Path simulated = dir.resolve("simulated");
    Path real = dir.resolve("real");
    serve("serve --simulate --signing-key-path " + key + " --socket-path " + simulated);
    serve("serve --enable gpu-read --gpu-power-poll-hz 100 --socket-path " + real);
    Claims claims =
        new Claims("training", List.of("gpu-read", "gpu-control", "cpu-read"), Optional.empty());
    String token = Tokens.withKeyFile(key).issue(claims);
    String header = "Authorization: Bearer " + token + "\r\n";
    stream(simulated, "/gpu/stream_power", header);
    stream(simulated, "/gpu/stream_power?format=snapshot", header);
    stream(simulated, "/cpu/stream_power", header);
    request(simulated, header);
    scrape(simulated, header);
    stream(real, "/gpu/stream_power", "");
    request(real, "");
    scrape(real, "");
    System.exit(0);
  }

  /** Takes some of a stream; steady power has its heartbeats. */
  private static void stream(Path socket, String target, String header)
      throws IOException, InterruptedException {
    try (SocketChannel channel = connect(socket)) {
      exchange(channel, "GET " + target, header);
      for (int i = 0; i < 5; i++) {
        exchange(channel, "", "");
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

  /** As Prometheus does; the answers are long, so that each is read to its end. */
  private static void scrape(Path socket, String header) throws IOException, InterruptedException {
    String close = header + "Connection: close\r\n";
    for (int round = 0; round < SCRAPES; round++) {
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

  /** Sends a request, unless empty, and waits for some of the answer. */
  private static void exchange(SocketChannel channel, String request, String header)
      throws IOException {
    if (!request.isEmpty()) {
      String text = request + " HTTP/1.1\r\nHost: localhost\r\n" + header + "\r\n";
      channel.write(ByteBuffer.wrap(text.getBytes(StandardCharsets.US_ASCII)));
    }
    if (channel.read(ByteBuffer.allocate(65536)) < 0) {
      throw new IOException("no answer to " + request);
    }
  }

  private static void execute(String... arguments) {
    CommandLine zeusd = Zeusd.commandLine();
    zeusd.setOut(new PrintWriter(OutputStream.nullOutputStream()));
    zeusd.execute(arguments);
  }

  private static void serve(String commandLine) {
    Thread.ofPlatform().daemon().start(() -> execute(commandLine.split(" ")));
  }
}
