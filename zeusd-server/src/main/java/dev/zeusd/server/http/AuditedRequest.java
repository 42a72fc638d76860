package dev.zeusd.server.http;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.settings.Lease;
import dev.zeusd.core.settings.SettingValue;
import dev.zeusd.ffm.posix.PeerProcess;
import dev.zeusd.server.audit.AuditEvent;
import dev.zeusd.server.audit.AuditEvent.Level;
import dev.zeusd.server.audit.AuditLog;
import dev.zeusd.server.auth.Claims;
import dev.zeusd.server.connection.Connection;
import io.helidon.http.Status;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.http.ServerRequest;
import jakarta.json.JsonArrayBuilder;
import jakarta.json.JsonObjectBuilder;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/**
 * What the audit log is told of a request: if it changes something, or was refused. It is written
 * once, right before the answer; what GPUs do after that, for a request that does not wait for them
 * or could not, is written as it comes.
 *
 * <p>Thread-safe.
 */
final class AuditedRequest {
  private static final int LONGEST_QUERY = 1000;
  private static final int LONGEST_ERROR = 2000;

  private final AuditLog log;
  private final Connection connection;
  private final ServerRequest request;
  private final long id;
  private final long startNanos = System.nanoTime();

  // Guarded by this.

  private final List<Write> writes = new ArrayList<>();
  private Optional<Claims> claims = Optional.empty();
  private Optional<Lease> lease = Optional.empty();
  private Collection<Integer> gpuIds = List.of();
  private String error = "";
  private boolean changesSomething;
  private boolean isQueued;
  private boolean isAnswered;

  /**
   * What was done to a GPU.
   *
   * @param before what was there, if that could be told
   * @param failure why it is still there
   */
  private record Write(
      GpuInfo gpu, Optional<SettingValue> before, SettingValue value, Optional<String> failure) {
    JsonObjectBuilder json() {
      JsonObjectBuilder json = AuditEvent.provider().createObjectBuilder();
      json.add("gpu", gpu.id());
      gpu.uuid().ifPresent(uuid -> json.add("uuid", uuid));
      json.add("setting", value.key().wireName());
      before.ifPresent(old -> json.add("old", value(old)));
      json.add("new", value(value));
      json.add("outcome", failure.isPresent() ? "failed" : "done");
      failure.ifPresent(why -> json.add("error", shortened(why, LONGEST_ERROR)));
      return json;
    }

    private static JsonObjectBuilder value(SettingValue value) {
      JsonObjectBuilder json = AuditEvent.provider().createObjectBuilder();
      LeaseJson.addValue(json, value);
      return json;
    }

    @Override
    public String toString() {
      return "%s of GPU %d %s -> %s%s"
          .formatted(
              value.key().wireName(),
              gpu.id(),
              before.map(SettingValue::text).orElse("?"),
              value.text(),
              failure.map(why -> " (failed)").orElse(""));
    }
  }

  /**
   * One that has come just now.
   *
   * @param id of no other request of this process
   */
  AuditedRequest(AuditLog log, Connection connection, ServerRequest request, long id) {
    this.log = log;
    this.connection = connection;
    this.request = request;
    this.id = id;
  }

  /** That of a request, if there is a log. */
  static Optional<AuditedRequest> of(ServerRequest request) {
    return request.context().get(AuditedRequest.class);
  }

  // ---- What is found out ----

  /** It is to one of the endpoints that change something. */
  synchronized void changesSomething() {
    changesSomething = true;
  }

  /** Who says to have sent it, and was found to be right. */
  synchronized void by(Claims claims) {
    this.claims = Optional.of(claims);
  }

  /** Which GPUs it is about. */
  synchronized void about(Collection<Integer> gpuIds) {
    this.gpuIds = List.copyOf(gpuIds);
  }

  /** The lease that it is about, or changes something by. */
  synchronized void about(Lease lease) {
    this.lease = Optional.of(lease);
  }

  /** What it asks for is done after it was answered. */
  synchronized void isQueued() {
    isQueued = true;
  }

  /** What is told its sender, as JSON. */
  synchronized void error(byte[] json) {
    error = new String(json, StandardCharsets.UTF_8);
  }

  /** A GPU was set, or that has failed; on the GPU's thread. */
  void wrote(
      GpuInfo gpu,
      Optional<SettingValue> before,
      SettingValue value,
      Optional<DeviceException> failure) {
    Write write = new Write(gpu, before, value, failure.map(e -> String.valueOf(e.getMessage())));
    boolean isLate;
    synchronized (this) {
      isLate = isAnswered;
      writes.add(write);
    }
    if (isLate) {
      JsonObjectBuilder facts = AuditEvent.facts("result").add("request", id);
      facts.addAll(write.json());
      // Others' calls of this GPU are not to wait for a disk.
      log.tell(
          new AuditEvent(
              failure.isPresent() ? Level.WARNING : Level.INFO,
              "request %d: %s".formatted(id, write),
              facts.build()));
    }
  }

  // ---- What is written ----

  /** Writes it, unless that was done, or is not needed for what it is; before the answer is. */
  void answered(Status status) {
    boolean isRefusal =
        status.equals(Status.UNAUTHORIZED_401) || status.equals(Status.FORBIDDEN_403);
    AuditEvent event;
    synchronized (this) {
      if (isAnswered || !changesSomething && !isRefusal) {
        return;
      }
      isAnswered = true;
      event = event(outcome(status), status.code());
    }
    if (event.level() == Level.NOTICE) {
      log.writeRefusal(event, peer());
    } else {
      log.write(event);
    }
  }

  /** The same, where a device holds up the request's own thread. */
  void answered(DeviceErrors e) {
    error(WireJson.deviceErrors(e.byId()));
    answered(ErrorMapper.worst(e));
  }

  /** The client has left, and gets no answer. */
  void abandoned() {
    AuditEvent event;
    synchronized (this) {
      if (isAnswered || !changesSomething) {
        return;
      }
      isAnswered = true;
      event = event("abandoned", 0);
    }
    log.write(event);
  }

  private String outcome(Status status) {
    return switch (status.family()) {
      case CLIENT_ERROR -> "refused";
      case SERVER_ERROR -> "failed";
      default -> isQueued ? "queued" : "allowed";
    };
  }

  private String peer() {
    return Access.name(connection, claims);
  }

  private JsonObjectBuilder peerFacts() {
    JsonObjectBuilder peer = AuditEvent.provider().createObjectBuilder();
    try {
      if (connection.client().channel().getRemoteAddress() instanceof InetSocketAddress address) {
        return peer.add("address", address.getAddress().getHostAddress())
            .add("port", address.getPort());
      }
      connection.client().process().ifPresent(known -> add(peer, known));
    } catch (IOException | CloseConnectionException e) {
      // It has gone, and so has what the kernel knew.
    }
    return peer;
  }

  private static void add(JsonObjectBuilder peer, PeerProcess process) {
    peer.add("uid", Integer.toUnsignedLong(process.uid()));
    peer.add("gid", Integer.toUnsignedLong(process.gid()));
    if (process.pid() != 0) {
      peer.add("pid", process.pid());
    }
  }

  private AuditEvent event(String outcome, int status) {
    String method = request.prologue().method().text();
    String path = request.matchingPattern().orElse(request.path().rawPath());
    JsonObjectBuilder facts = AuditEvent.facts("request").add("id", id);
    facts.add("peer", peerFacts());
    claims.ifPresent(
        known -> {
          facts.add("subject", known.sub());
          known.jti().ifPresent(jti -> facts.add("jti", jti));
        });
    connection
        .client()
        .certificate()
        .ifPresent(known -> facts.add("certificate", known.getSubjectX500Principal().getName()));
    facts.add("method", method).add("path", path);
    query().ifPresent(query -> facts.add("query", query));
    if (!gpuIds.isEmpty()) {
      JsonArrayBuilder ids = AuditEvent.provider().createArrayBuilder();
      gpuIds.forEach(ids::add);
      facts.add("gpus", ids);
    }
    lease.ifPresent(known -> facts.add("lease", known.epoch()));
    if (!writes.isEmpty()) {
      JsonArrayBuilder changes = AuditEvent.provider().createArrayBuilder();
      writes.forEach(write -> changes.add(write.json()));
      facts.add("changes", changes);
    }
    facts.add("outcome", outcome).add("status", status);
    if (!error.isEmpty()) {
      facts.add("error", shortened(error, LONGEST_ERROR));
    }
    facts.add("us", TimeUnit.NANOSECONDS.toMicros(System.nanoTime() - startNanos));
    String what = writes.stream().map(write -> ", " + write).collect(Collectors.joining());
    Level level =
        switch (outcome) {
          case "refused" -> Level.NOTICE;
          case "failed" -> Level.WARNING;
          default -> Level.INFO;
        };
    return new AuditEvent(
        level,
        "%s %s by %s: %s with %d%s".formatted(method, path, peer(), outcome, status, what),
        facts.build());
  }

  /** But for the ids of leases and energy windows: they are the right to use them. */
  private Optional<String> query() {
    String raw = request.query().rawValue();
    if (raw == null || raw.isEmpty()) {
      return Optional.empty();
    }
    String shown =
        Arrays.stream(raw.split("&", -1))
            .map(
                pair ->
                    pair.matches("[a-z_]*=.*") && !pair.matches("(lease|window)_id=.*")
                        ? pair
                        : hidden(pair))
            .collect(Collectors.joining("&"));
    return Optional.of(shortened(shown, LONGEST_QUERY));
  }

  private static String hidden(String pair) {
    int equals = pair.indexOf('=');
    return equals < 0 ? pair : pair.substring(0, equals) + "=...";
  }

  private static String shortened(String text, int longest) {
    return text.length() > longest ? text.substring(0, longest) + "..." : text;
  }
}
