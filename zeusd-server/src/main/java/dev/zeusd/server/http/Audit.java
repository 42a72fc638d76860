package dev.zeusd.server.http;

import dev.zeusd.core.Node;
import dev.zeusd.core.settings.GpusByUuid;
import dev.zeusd.core.settings.Lease;
import dev.zeusd.core.settings.LeaseObserver;
import dev.zeusd.core.settings.Restored;
import dev.zeusd.core.settings.Setting;
import dev.zeusd.core.settings.SettingValue;
import dev.zeusd.server.Limits;
import dev.zeusd.server.audit.AuditEvent;
import dev.zeusd.server.audit.AuditEvent.Level;
import dev.zeusd.server.audit.AuditLog;
import dev.zeusd.server.connection.Connection;
import dev.zeusd.server.connection.TryLater;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import io.helidon.webserver.http.ServerRequest;
import jakarta.json.JsonObjectBuilder;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Tells the audit log, where there is one, what requests change, who is refused, and what the
 * daemon changes by itself.
 */
public final class Audit implements LeaseObserver {
  private final Node node;
  private final AtomicLong requests = new AtomicLong();
  private volatile Optional<AuditLog> log;

  /** Of requests about the devices of {@code node}. */
  public Audit(Node node, Optional<AuditLog> log) {
    this.node = node;
    this.log = log;
  }

  /** Whether there is a log. */
  boolean isOn() {
    return log.isPresent();
  }

  /** From now on this one is told, if any; requests that are under way go to the former. */
  public void replace(Optional<AuditLog> other) {
    log = other;
  }

  // ---- Requests ----

  /** What is to be told of a request that has come just now, if there is a log. */
  Optional<AuditedRequest> begin(ServerRequest request, Connection connection) {
    Optional<AuditLog> now = log;
    if (now.isEmpty()) {
      return Optional.empty();
    }
    AuditedRequest audited =
        new AuditedRequest(now.get(), connection, request, requests.incrementAndGet());
    request.context().register(audited);
    return Optional.of(audited);
  }

  /**
   * Refuses to go on while nothing may be changed since it could not be logged.
   *
   * @throws HttpException 503
   */
  void requireLog() {
    Optional<String> problem = log.filter(AuditLog::isRequired).flatMap(AuditLog::problem);
    if (problem.isPresent()) {
      throw TryLater.refusal(
          Status.SERVICE_UNAVAILABLE_503,
          "nothing is changed while the audit log cannot be written ("
              + problem.get()
              + "); the administrator of this machine has to see to it",
          Limits.LATER);
    }
  }

  // ---- What nobody asks for ----

  @Override
  public void ended(Lease lease, String why) {
    JsonObjectBuilder facts = AuditEvent.facts("lease_end");
    addLease(facts, lease);
    tell(Level.INFO, lease + ": " + why, facts.add("why", why));
  }

  private static void addLease(JsonObjectBuilder facts, Lease lease) {
    facts.add("lease", lease.epoch()).add("holder", lease.holder());
    lease.process().ifPresent(process -> facts.add("pid", process.pid()));
  }

  @Override
  public void restored(Setting setting, SettingValue value, Optional<Lease> by, Restored result) {
    JsonObjectBuilder facts = AuditEvent.facts(by.isPresent() ? "restore" : "baseline");
    by.ifPresent(lease -> addLease(facts, lease));
    Optional<Integer> gpu =
        new GpusByUuid(node.gpus()).find(setting.gpuUuid()).map(worker -> worker.id());
    gpu.ifPresent(id -> facts.add("gpu", id));
    facts.add("uuid", setting.gpuUuid()).add("setting", setting.key().wireName());
    JsonObjectBuilder wanted = AuditEvent.provider().createObjectBuilder();
    LeaseJson.addValue(wanted, value);
    facts.add("new", wanted).add("outcome", result.outcome().wireName());
    if (!result.problem().isEmpty()) {
      facts.add("error", result.problem());
    }
    String text =
        "%s of GPU %s -> %s, %s: %s"
            .formatted(
                setting.key().wireName(),
                gpu.map(String::valueOf).orElse(setting.gpuUuid()),
                value.text(),
                by.map(lease -> "changed by " + lease).orElse("as the baseline has it"),
                result.outcome().wireName());
    tell(result.outcome() == Restored.Outcome.PENDING ? Level.WARNING : Level.INFO, text, facts);
  }

  private void tell(Level level, String text, JsonObjectBuilder facts) {
    log.ifPresent(known -> known.tell(new AuditEvent(level, text, facts.build())));
  }

  /** The administrator has changed who may do what. */
  public void reloaded(String changes) {
    tell(
        Level.NOTICE,
        "configuration read again: " + changes,
        AuditEvent.facts("reload").add("changes", changes));
  }
}
