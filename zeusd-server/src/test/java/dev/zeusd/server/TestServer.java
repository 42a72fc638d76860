package dev.zeusd.server;

import dev.zeusd.core.CpuBackend;
import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.server.auth.Policy;
import dev.zeusd.server.auth.Tokens;
import dev.zeusd.server.raw.EventStream;
import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import dev.zeusd.server.raw.TlsRelay;
import dev.zeusd.server.tls.TlsCredentials;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvmlLibrary;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.SortedMap;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.logging.Level;
import java.util.logging.Logger;

/** A server in this JVM, on the GPUs of the fake NVML. */
final class TestServer implements AutoCloseable {
  // Held here: java.util.logging forgets the level of a logger that nobody refers to.
  private static final List<Logger> QUIET =
      List.of(Logger.getLogger("io.helidon"), Logger.getLogger("dev.zeusd.core.Node"));

  static {
    QUIET.forEach(logger -> logger.setLevel(Level.WARNING));
  }

  private final Path directory;
  private final Node node;
  private final boolean ownsNode;
  private final ZeusdServer server;
  private final SocketAddress address;
  private final Optional<TlsRelay> relay;

  private TestServer(
      Path directory,
      Node node,
      boolean ownsNode,
      ZeusdServer server,
      SocketAddress address,
      Optional<TlsRelay> relay) {
    this.relay = relay;
    this.directory = directory;
    this.node = node;
    this.ownsNode = ownsNode;
    this.server = server;
    this.address = address;
  }

  /** The fake with its first settings and no calls counted. */
  static FakeNvml freshNvml() {
    FakeNvmlLibrary.directory();
    return FakeNvml.inProcess().reset();
  }

  static TestServer start(Transport transport) throws IOException {
    return start(transport, 20);
  }

  static TestServer start(Transport transport, int pollHz) throws IOException {
    return start(transport, pollHz, Set.of(ApiGroup.GPU_READ), StreamFormat.SAMPLE);
  }

  static TestServer start(
      Transport transport, int pollHz, Set<ApiGroup> groups, StreamFormat format)
      throws IOException {
    return start(transport, openNode(pollHz), true, groups, format, Optional.empty());
  }

  /** With the groups that a test of the writes or of tokens needs. */
  static TestServer start(Transport transport, Set<ApiGroup> groups, Optional<Tokens> tokens)
      throws IOException {
    return start(transport, openNode(20), true, groups, StreamFormat.SAMPLE, tokens);
  }

  /** With these grants, and tokens. */
  static TestServer start(
      Transport transport, Set<ApiGroup> groups, Optional<Tokens> tokens, Policy policy)
      throws IOException {
    return start(
        transport,
        openNode(20),
        true,
        listen -> new ServerConfig(listen, groups, StreamFormat.SAMPLE, tokens).withPolicy(policy));
  }

  /** With all that concerns GPUs, and what else {@code more} adds. */
  static TestServer start(Transport transport, UnaryOperator<ServerConfig> more)
      throws IOException {
    Set<ApiGroup> groups = Set.of(ApiGroup.GPU_READ, ApiGroup.GPU_CONTROL);
    return start(
        transport,
        openNode(20),
        true,
        listen -> more.apply(config(listen, groups, StreamFormat.SAMPLE)));
  }

  /** With these limits for clients. */
  static TestServer start(Transport transport, Limits limits) throws IOException {
    return start(transport, openNode(20), true, listen -> config(listen).withLimits(limits));
  }

  /** All that {@code node} has, which it closes, with these limits for clients. */
  static TestServer start(Transport transport, Node node, Limits limits) throws IOException {
    Set<ApiGroup> groups = Set.of(ApiGroup.GPU_READ, ApiGroup.GPU_CONTROL);
    return start(
        transport,
        node,
        true,
        listen -> config(listen, groups, StreamFormat.SAMPLE).withLimits(limits));
  }

  /** With these limits for clients, and tokens. */
  static TestServer start(Transport transport, Limits limits, Optional<Tokens> tokens)
      throws IOException {
    Set<ApiGroup> groups = Set.of(ApiGroup.GPU_READ);
    return start(
        transport,
        openNode(20),
        true,
        listen -> new ServerConfig(listen, groups, StreamFormat.SAMPLE, tokens).withLimits(limits));
  }

  /** At TCP or a Unix socket, with this access for web pages. */
  static TestServer start(Transport transport, Optional<Tokens> tokens, WebAccess web)
      throws IOException {
    Set<ApiGroup> groups = Set.of(ApiGroup.GPU_READ, ApiGroup.GPU_CONTROL);
    return start(
        transport,
        openNode(20),
        true,
        listen -> new ServerConfig(listen, groups, StreamFormat.SAMPLE, tokens).withWeb(web));
  }

  /** Without GPUs, on the RAPL zones in {@code raplDir}. */
  static TestServer startCpus(Transport transport, Path raplDir) throws IOException {
    Node node =
        Node.open(
            NodeConfig.defaults()
                .withGpuBackend(GpuBackend.NONE)
                .withCpuBackend(CpuBackend.RAPL)
                .withRaplDir(raplDir));
    return startCpus(transport, node);
  }

  /** The CPUs of {@code node}, which it closes. */
  static TestServer startCpus(Transport transport, Node node) throws IOException {
    return start(
        transport, node, true, Set.of(ApiGroup.CPU_READ), StreamFormat.SAMPLE, Optional.empty());
  }

  /** All there is: the GPUs of the fake, and the RAPL zones in {@code raplDir}. */
  static TestServer startAll(Transport transport, Path raplDir) throws IOException {
    return startAll(transport, raplDir, Optional.empty());
  }

  /** The same with tokens. */
  static TestServer startAll(Transport transport, Path raplDir, Optional<Tokens> tokens)
      throws IOException {
    Node node =
        Node.open(
            NodeConfig.defaults()
                .withGpuBackend(GpuBackend.NVML)
                .withCpuBackend(CpuBackend.RAPL)
                .withRaplDir(raplDir));
    return startAll(transport, node, tokens);
  }

  /** All that {@code node} has, which it closes. */
  static TestServer startAll(Transport transport, Node node, Optional<Tokens> tokens)
      throws IOException {
    return start(transport, node, true, EnumSet.allOf(ApiGroup.class), StreamFormat.SAMPLE, tokens);
  }

  /** All that {@code node} has, which stays open. */
  static TestServer startOn(Transport transport, Node node) throws IOException {
    return start(
        transport,
        node,
        false,
        EnumSet.allOf(ApiGroup.class),
        StreamFormat.SAMPLE,
        Optional.empty());
  }

  /** A second server on the same devices. */
  TestServer alsoAt(Transport transport) throws IOException {
    return start(
        transport, node, false, Set.of(ApiGroup.GPU_READ), StreamFormat.SAMPLE, Optional.empty());
  }

  private static TestServer start(
      Transport transport,
      Node node,
      boolean ownsNode,
      Set<ApiGroup> groups,
      StreamFormat format,
      Optional<Tokens> tokens)
      throws IOException {
    return start(
        transport, node, ownsNode, listen -> new ServerConfig(listen, groups, format, tokens));
  }

  private static TestServer start(
      Transport transport, Node node, boolean ownsNode, Function<Listen, ServerConfig> config)
      throws IOException {
    Path directory = Files.createTempDirectory("zeusd");
    Path socket = directory.resolve("z.sock");
    Listen listen =
        switch (transport) {
          case TCP -> loopback();
          case UDS -> unixSocket(socket, 0600);
          case TLS -> loopback(TestTls.credentials());
        };
    ZeusdServer server = ZeusdServer.start(node, config.apply(listen));
    InetSocketAddress internet =
        new InetSocketAddress(InetAddress.getLoopbackAddress(), Math.max(0, server.port()));
    Optional<TlsRelay> relay =
        transport == Transport.TLS
            ? Optional.of(new TlsRelay(TestTls.clientContext(), internet))
            : Optional.empty();
    SocketAddress address =
        switch (transport) {
          case TCP -> internet;
          case UDS -> UnixDomainSocketAddress.of(socket);
          case TLS -> relay.orElseThrow().address();
        };
    return new TestServer(directory, node, ownsNode, server, address, relay);
  }

  private static Node openNode(int pollHz) {
    return Node.open(
        NodeConfig.defaults()
            .withGpuBackend(GpuBackend.NVML)
            .withGpuPowerPollHz(pollHz)
            .withCpuBackend(CpuBackend.NONE));
  }

  static ServerConfig config(Listen listen, Set<ApiGroup> groups, StreamFormat format) {
    return new ServerConfig(listen, groups, format, Optional.empty());
  }

  /** Gpu-read alone, in the default dialect. */
  static ServerConfig config(Listen listen) {
    return config(listen, Set.of(ApiGroup.GPU_READ), StreamFormat.SAMPLE);
  }

  static Listen loopback() {
    return new Listen.Tcp(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
  }

  static Listen loopback(TlsCredentials tls) {
    return new Listen.Tcp(
        new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), Optional.of(tls));
  }

  static Listen.UnixSocket unixSocket(Path path, int permissions) {
    return new Listen.UnixSocket(path, permissions, OptionalInt.empty(), OptionalInt.empty());
  }

  /** Other tokens and grants from here on; says how many streams ended. */
  int replaceAccess(Optional<Tokens> tokens, Policy policy) {
    return server.replaceAccess(tokens, policy);
  }

  /** Other credentials of TLS from here on; says how many connections ended. */
  int replaceTls(TlsCredentials credentials) {
    return server.replaceTls(credentials);
  }

  SocketAddress address() {
    return address;
  }

  /** Where it speaks TLS; {@link #address} is that of a relay, for clients that do not. */
  InetSocketAddress tlsAddress() {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), server.port());
  }

  /** The method of each path that it answers, but for HEAD and OPTIONS. */
  SortedMap<String, String> endpoints() {
    return server.endpoints();
  }

  /** Its devices. */
  Node node() {
    return node;
  }

  RawConnection connect() throws IOException {
    return RawConnection.open(address);
  }

  /** One request on a connection of its own. */
  RawResponse get(String target) throws IOException {
    try (RawConnection connection = connect()) {
      RawResponse response = connection.get(target);
      connection.assertIdle();
      return response;
    }
  }

  /** As {@link #get}, with POST. */
  RawResponse post(String target) throws IOException {
    try (RawConnection connection = connect()) {
      connection.send(RawConnection.request("POST", target));
      return connection.readResponse();
    }
  }

  EventStream stream(String target) throws IOException {
    return connect().stream(target);
  }

  /** Stops the server, not the node. */
  void stopServer() {
    server.close();
  }

  @Override
  public void close() throws IOException {
    server.close();
    if (relay.isPresent()) {
      relay.get().close();
    }
    if (ownsNode) {
      node.close();
    }
    Files.delete(directory);
  }
}
