defmodule TenonHarness.TlsTest do
  use TenonHarness.NodeCase, async: true

  @moduletag :tenon_only
  @moduletag :own_carrier
  @no_name_check ", {server_name_indication, disable}"

  setup_all do
    dir =
      Path.join(
        System.tmp_dir!(),
        "tenon-tls-#{System.unique_integer([:positive])}-#{System.pid()}"
      )

    script = Path.expand("../../../test/make-certs", __DIR__)
    {_, 0} = System.cmd("sh", [script, dir, host()], stderr_to_stdout: true)
    on_exit(fn -> File.rm_rf!(dir) end)
    {:ok, dir: dir}
  end

  defp host, do: node() |> to_string() |> String.split("@") |> List.last()

  # The options of both sides: that certificate, and `more` (Erlang text); `client` for that side.
  defp optfile(dir, cert, more \\ "", client \\ "") do
    file = Path.join(dir, "#{System.unique_integer([:positive])}.conf")

    both =
      ~s({certfile, "#{dir}/#{cert}"}, {cacertfile, "#{dir}/ca.pem"}, {verify, verify_peer}#{more})

    File.write!(file, """
    %% as a release has it
    [{server, [{fail_if_no_peer_cert, true}, #{both}]},
     {client, [#{both}#{client}]}].
    """)

    file
  end

  # Options: those of `start_tenon/1`, and `:args_after`.
  defp tls_tenon(file, opts \\ []) do
    {more, opts} = Keyword.pop(opts, :args_after, [])
    tls = ["--proto-dist", "inet_tls", "--ssl-dist-optfile", file, "--log-level", "debug"]
    start_tenon([{:args, tls ++ more} | opts])
  end

  defp tls_beam(file) do
    start_beam(erl: ["-proto_dist", "inet_tls", "-ssl_dist_optfile", file])
  end

  defp ping(beam, name), do: on(beam, name: name, do: Node.ping(name))

  defp tenon_ping(name, args) do
    System.cmd(
      TenonNode.executable(),
      ["ping", to_string(name), "--cookie", Cluster.cookie() | args],
      stderr_to_stdout: true
    )
  end

  for version <- ["tlsv1.2", "tlsv1.3"] do
    test "calls in both directions over #{version}", %{dir: dir} do
      file = optfile(dir, "good.pem", ", {versions, ['#{unquote(version)}']}")
      tenon = tls_tenon(file)
      beam = tls_beam(file)
      assert ping(beam, tenon.name) == :pong
      big = :binary.copy("0123456789", 200_000)
      assert on(beam, name: tenon.name, big: big, do: GenServer.call({:echo, name}, big)) == big
      expected = unquote(String.replace(version, "tlsv", "TLSv"))
      assert TenonNode.await_event(tenon, "secured", version: expected)

      {answer, 0} =
        tenon_ping(beam.name, ["--proto-dist", "inet_tls", "--ssl-dist-optfile", file])

      assert answer == "pong\n"
    end
  end

  test "single options do as well as a file", %{dir: dir} do
    options =
      for side <- ["server", "client"],
          {name, value} <- [certfile: "#{dir}/good.pem", cacertfile: "#{dir}/ca.pem"],
          word <- ["--ssl-dist-opt", "#{side}_#{name}", value],
          do: word

    tenon = start_tenon(args: ["--proto-dist", "inet_tls" | options])
    beam = tls_beam(optfile(dir, "good.pem"))
    assert ping(beam, tenon.name) == :pong
  end

  # What is wrong with a certificate: in this node's words, and the alert that the peer sees.
  @refused [
    {"expired.pem", "certificate has expired", "Certificate Expired", "certificate expired"},
    {"self_signed.pem", "self-signed certificate", "Unknown CA", "unknown ca"},
    {"wrong_ca.pem", "unable to get local issuer certificate", "Unknown CA", "unknown ca"},
    {"revoked.pem", "certificate revoked", "Certificate Revoked", "certificate revoked"}
  ]
  # Only who calls checks a name.
  @refused_by_caller [
    {"wrong_host.pem", "hostname mismatch", "Bad Certificate", "bad certificate"} | @refused
  ]

  defp crls(dir) do
    ~s(, {crl_check, peer}, {crl_cache, {ssl_crl_hash_dir, {internal, [{dir, "#{dir}/crls"}]}}})
  end

  defp only(version), do: ", {versions, ['#{version}']}"

  # The line of a BEAM node's log with what it got.
  defp await_alert(beam, from, alert) do
    text = "received #{from} ALERT: Fatal - #{alert}"
    assert Program.await(beam.program, text, @timeout, &(&1 =~ text))
  end

  # That an OpenSSL client with this certificate gets the alert. (A BEAM node does not always log it in
  # TLS 1.3, where its connection is up before it comes.)
  defp await_alert_of_openssl(dir, cert, port, version, alert) do
    openssl = System.find_executable("openssl")
    version = "-" <> (version |> String.replace("tlsv", "tls") |> String.replace(".", "_"))
    args = ["s_client", "-connect", "#{host()}:#{port}", "-cert", "#{dir}/#{cert}", version]
    {:ok, client} = Program.start(openssl, args: args, stdin: :own)
    text = "alert " <> alert
    assert Program.await(client, text, @timeout, &(&1 =~ text))
    Program.stop(client)
  end

  defp ssl_options(dir, more) do
    both = [cacertfile: "#{dir}/ca.pem", certfile: "#{dir}/good.pem", verify: :verify_peer]
    [:binary, {:active, false} | Keyword.merge(both, more)]
  end

  for version <- ["tlsv1.2", "tlsv1.3"] do
    for {cert, reason, _, alert} <- @refused do
      test "a peer that calls with #{cert} over #{version} is refused, and told", %{dir: dir} do
        tenon = tls_tenon(optfile(dir, "good.pem", only(unquote(version)) <> crls(dir)))
        beam = tls_beam(optfile(dir, unquote(cert), only(unquote(version)), @no_name_check))
        assert ping(beam, tenon.name) == :pang
        refusal = TenonNode.await_event(tenon, "handshake_refused", error: "TLS")
        assert refusal["reason"] =~ "its certificate is refused: " <> unquote(reason)

        await_alert_of_openssl(dir, unquote(cert), tenon.port, unquote(version), unquote(alert))
        good = tls_beam(optfile(dir, "good.pem", only(unquote(version))))
        assert ping(good, tenon.name) == :pong
      end
    end
  end

  for {cert, reason, alert, openssl_alert} <- @refused_by_caller do
    test "a peer that is called and has #{cert} is refused, and told", %{dir: dir} do
      more = only("tlsv1.2") <> crls(dir)
      beam = tls_beam(optfile(dir, unquote(cert), only("tlsv1.2"), @no_name_check))
      tenon = tls_tenon(optfile(dir, "good.pem", more), connect: [beam.name])
      refusal = TenonNode.await_event(tenon, "connect_failed", error: "TLS")
      assert refusal["peer"] == to_string(beam.name)
      assert refusal["reason"] =~ "its certificate is refused: " <> unquote(reason)
      await_alert(beam, "CLIENT", unquote(alert))
    end

    # In TLS 1.3 OpenSSL sends a client's alert before it has the keys for it. OpenSSL takes it like that; a
    # BEAM node says that the record was bad.
    test "so is one with #{cert} over tlsv1.3", %{dir: dir} do
      {server, port} = openssl_server(dir, unquote(cert))
      file = optfile(dir, "good.pem", only("tlsv1.3") <> crls(dir))
      peer = "openssl@#{host()}"
      tenon = tls_tenon(file, connect: [peer], args_after: ["--peer-port", port])
      refusal = TenonNode.await_event(tenon, "connect_failed", error: "TLS", peer: peer)
      assert refusal["reason"] =~ "its certificate is refused: " <> unquote(reason)
      text = "alert " <> unquote(openssl_alert)
      assert Program.await(server, text, @timeout, &(&1 =~ text))
    end
  end

  # The program, and its port.
  defp openssl_server(dir, cert) do
    args = ["-cert", "#{dir}/#{cert}", "-CAfile", "#{dir}/ca.pem", "-verify", "3", "-tls1_3"]
    openssl = System.find_executable("openssl")
    args = ["s_server", "-accept", "#{host()}:0" | args]
    {:ok, server} = Program.start(openssl, args: args, stdin: :own)
    on_exit(fn -> Program.stop(server) end)

    port =
      Program.await(server, "ACCEPT", @timeout, fn line ->
        case Regex.run(~r/^ACCEPT .*:(\d+)$/, line) do
          [_, port] -> port
          nil -> nil
        end
      end)

    {server, port}
  end

  for version <- ["tlsv1.2", "tlsv1.3"] do
    test "a BEAM node that refuses this node's certificate over #{version} is heard", %{dir: dir} do
      version = only(unquote(version))
      bad = optfile(dir, "expired.pem", version)
      beam = tls_beam(optfile(dir, "good.pem", version))
      called = tls_tenon(bad)
      assert ping(beam, called.name) == :pang
      refusal = TenonNode.await_event(called, "handshake_refused", error: "TLS")
      assert refusal["reason"] =~ "the peer refuses: "
      assert refusal["reason"] =~ "certificate expired"

      caller = tls_tenon(bad, connect: [beam.name])
      refusal = TenonNode.await_event(caller, "connect_failed", error: "TLS")
      assert refusal["reason"] =~ "the peer refuses: "
      assert refusal["reason"] =~ "certificate expired"
    end
  end

  test "a BEAM node checks this node's host name", %{dir: dir} do
    tenon = tls_tenon(optfile(dir, "wrong_host.pem", "", @no_name_check))
    beam = tls_beam(optfile(dir, "good.pem"))
    assert ping(beam, tenon.name) == :pang
    refusal = TenonNode.await_event(tenon, "handshake_refused", error: "TLS")
    assert refusal["reason"] =~ "the peer refuses: "
  end

  test "a node's own name in a certificate is as good as its host's", %{dir: dir} do
    named = Path.join(dir, "named-#{System.unique_integer([:positive])}")
    script = Path.expand("../../../test/make-certs", __DIR__)
    name = Cluster.unique_node("named")
    {_, 0} = System.cmd("sh", [script, named, "elsewhere.invalid", to_string(name)])
    tenon = tls_tenon(optfile(named, "named.pem", "", @no_name_check), name: name)
    args = ["--proto-dist", "inet_tls", "--ssl-dist-optfile", optfile(named, "named.pem")]
    assert {"pong\n", 0} = tenon_ping(tenon.name, args)
  end

  test "a plain peer of a TLS node is refused, and told", %{dir: dir} do
    secure = tls_tenon(optfile(dir, "good.pem"))
    plain_beam = start_beam()
    assert ping(plain_beam, secure.name) == :pang
    refusal = TenonNode.await_event(secure, "handshake_refused", error: "TLS")
    assert refusal["reason"] =~ "is it a node without?"

    plain = start_tenon(connect: [secure.name])
    refusal = TenonNode.await_event(plain, "connect_failed", error: "TLS")
    assert refusal["reason"] =~ "it speaks TLS"

    # The alert itself: fatal, unexpected_message.
    options = [:binary, active: false, show_econnreset: true]
    {:ok, socket} = :gen_tcp.connect(to_charlist(host()), secure.port, options)
    name = <<0, 35, "N", 0::64, 0::32, 20::16, "plain12345@localhost">>
    # With more behind it, which resets nothing.
    :ok = :gen_tcp.send(socket, [name, :binary.copy("x", 100_000)])
    assert :gen_tcp.recv(socket, 7, @timeout) == {:ok, <<21, 3, 3, 0, 2, 2, 10>>}
    assert :gen_tcp.recv(socket, 0, @timeout) == {:error, :closed}
  end

  test "a TLS peer of a plain node is refused, and told", %{dir: dir} do
    file = optfile(dir, "good.pem")
    plain = start_tenon()
    secure_beam = tls_beam(file)
    assert ping(secure_beam, plain.name) == :pang
    refusal = TenonNode.await_event(plain, "handshake_refused", error: "TLS")
    assert refusal["reason"] =~ "it speaks TLS"
    await_alert(secure_beam, "SERVER", "Protocol Version")
    {said, 1} = tenon_ping(plain.name, ["--proto-dist", "inet_tls", "--ssl-dist-optfile", file])
    assert said =~ "alert protocol version"
  end

  test "a node that calls one of the other kind says so", %{dir: dir} do
    file = optfile(dir, "good.pem")
    secure_beam = tls_beam(file)
    plain = start_tenon(connect: [secure_beam.name])

    # One of OTP 23 just closes.
    if String.to_integer(System.otp_release()) < 25 do
      assert TenonNode.await_event(plain, "connect_failed", error: "CLOSED")
    else
      refusal = TenonNode.await_event(plain, "connect_failed", error: "TLS")
      assert refusal["reason"] =~ "it speaks TLS"
      text = "generated SERVER ALERT: Fatal - "
      assert Program.await(secure_beam.program, text, @timeout, &(&1 =~ text))
    end

    # A plain BEAM node takes the first bytes of TLS for the length of a packet, and waits for the rest.
    plain_beam = start_beam()
    patience = ["--connect-timeout", "500"]
    secure = tls_tenon(file, connect: [plain_beam.name], args_after: patience)
    refusal = TenonNode.await_event(secure, "connect_failed", error: "TIMEOUT")
    assert refusal["reason"] =~ "the handshake of TLS (is it a node without?) was not over"
  end

  # A BEAM node of TLS 1.2 renegotiates after 2^28 messages, one of TLS 1.3 renews its keys after 388 GB, and
  # leaves a peer that declines.
  for {version, option} <- [
        {"tlsv1.2", ", {renegotiate_at, 50}"},
        {"tlsv1.3", ", {key_update_at, 5000}"}
      ],
      who <- [:beam, :tenon] do
    test "keys are renewed over #{version}, where the #{who} has called", %{dir: dir} do
      version = only(unquote(version))
      beam = tls_beam(optfile(dir, "good.pem", version <> unquote(option)))
      # That of TLS 1.2 is for BEAM nodes only, as is said of it.
      option = if unquote(version == "tlsv1.3"), do: unquote(option), else: ""
      calls = if unquote(who) == :tenon, do: [beam.name], else: []
      tenon = tls_tenon(optfile(dir, "good.pem", version <> option), connect: calls)

      if unquote(who) == :tenon,
        do: TenonNode.await_event(tenon, "peer_up", node: beam.name),
        else: assert(ping(beam, tenon.name) == :pong)

      sent = String.duplicate("0123456789", 100)

      # A message each and nothing else: monitors may take records of their own, and a second renegotiation within
      # ten seconds ends the connection.
      answers =
        on beam, name: tenon.name, sent: sent do
          for i <- 1..60 do
            send({:echo, name}, {:"$gen_call", {self(), i}, {i, sent}})

            receive do
              {^i, answer} -> answer
            end
          end
        end

      assert answers == for(i <- 1..60, do: {i, sent})
      assert TenonNode.events(tenon, "connection_closed") == []
      assert length(TenonNode.events(tenon, "peer_up")) == 1
    end
  end

  test "certificates are read again at SIGHUP, and connections stay", %{dir: dir} do
    cert = "changing-#{System.unique_integer([:positive])}.pem"
    File.cp!("#{dir}/good.pem", "#{dir}/#{cert}")
    tenon = tls_tenon(optfile(dir, cert))
    beam = tls_beam(optfile(dir, "good.pem"))
    assert ping(beam, tenon.name) == :pong

    File.cp!("#{dir}/expired.pem", "#{dir}/#{cert}")
    Program.signal(tenon.program, :HUP)
    assert TenonNode.await_event(tenon, "tls_reloaded")
    assert on(beam, name: tenon.name, do: GenServer.call({:echo, name}, 1)) == 1
    late = tls_beam(optfile(dir, "good.pem"))
    assert ping(late, tenon.name) == :pang

    File.write!("#{dir}/#{cert}", "no certificate")
    Program.signal(tenon.program, :HUP)
    failure = TenonNode.await_event(tenon, "tls_reload_failed")
    assert failure["reason"] =~ "TLS option certfile"
    assert on(beam, name: tenon.name, do: GenServer.call({:echo, name}, 2)) == 2
  end

  # A server of OTP 29 that verifies its clients resumes no session of TLS 1.2.
  if String.to_integer(System.otp_release()) < 29 do
    test "a session is resumed", %{dir: dir} do
      file = optfile(dir, "good.pem", only("tlsv1.2"))
      beam = tls_beam(file)
      tenon = tls_tenon(file, connect: [beam.name])
      assert TenonNode.await_event(tenon, "peer_up", node: beam.name)
      assert on(beam, name: tenon.name, do: Node.disconnect(name)) == true
      assert TenonNode.await_event(tenon, "secured", resumed: "true")
      assert on(beam, name: tenon.name, do: GenServer.call({:echo, name}, 3)) == 3
    end
  end

  # BEAM nodes do not do these as distribution: `session_tickets` breaks their connections, and a session that
  # was disconnected is not used again.
  # A client of OTP 29 with a ticket sends what OpenSSL calls an illegal parameter.
  for more <- [
        [versions: [:"tlsv1.2"]],
        [versions: [:"tlsv1.3"], session_tickets: :auto]
      ],
      more[:session_tickets] == nil or String.to_integer(System.otp_release()) < 29 do
    test "a BEAM client resumes a session, #{inspect(more)}", %{dir: dir} do
      tenon = tls_tenon(optfile(dir, "good.pem"))
      options = ssl_options(dir, unquote(Macro.escape(more)))
      beam = start_beam()

      # The first ones: a session is kept a little after it is there.
      on beam, options: options, host: to_charlist(host()), port: tenon.port do
        {:ok, _} = Application.ensure_all_started(:ssl)

        for _ <- 1..5 do
          {:ok, socket} = :ssl.connect(host, port, options)
          {:error, :timeout} = :ssl.recv(socket, 0, 100)
          :ok = :ssl.close(socket)
        end
      end

      assert TenonNode.await_event(tenon, "secured", resumed: "true")
    end
  end

  for tickets <- [:stateless, :stateful] do
    test "a session of a BEAM server with #{tickets} tickets is resumed", %{dir: dir} do
      beam = start_beam()
      more = [versions: [:"tlsv1.3"], session_tickets: unquote(tickets)]
      options = ssl_options(dir, more ++ [fail_if_no_peer_cert: true])

      port =
        on beam, options: options do
          {:ok, _} = Application.ensure_all_started(:ssl)
          test = self()

          serve = fn serve, listening ->
            {:ok, accepted} = :ssl.transport_accept(listening)
            {:ok, socket} = :ssl.handshake(accepted)
            {:ok, _name} = :ssl.recv(socket, 0)
            :ok = :ssl.close(socket)
            serve.(serve, listening)
          end

          spawn(fn ->
            {:ok, listening} = :ssl.listen(0, options)
            {:ok, {_, port}} = :ssl.sockname(listening)
            send(test, {:port, port})
            serve.(serve, listening)
          end)

          receive do
            {:port, port} -> port
          end
        end

      peer = "server@#{host()}"
      file = optfile(dir, "good.pem")
      tenon = tls_tenon(file, connect: [peer], args_after: ["--peer-port", "#{port}"])
      assert TenonNode.await_event(tenon, "secured", resumed: "true")
    end
  end

  test "an option without a meaning here is refused by its name", %{dir: dir} do
    file = Path.join(dir, "meaningless.conf")
    File.write!(file, "[{server, [{hibernate_after, 1}]}].")

    {said, 1} =
      System.cmd(
        TenonNode.executable(),
        ["run", "--sname", "none", "--cookie", "c", "--proto-dist", "inet_tls"] ++
          ["--ssl-dist-optfile", file],
        stderr_to_stdout: true
      )

    assert said =~ "TLS option hibernate_after of the server: it has no meaning here"
  end

  test "options of TLS are refused where connections would be plain", %{dir: dir} do
    {said, 1} =
      System.cmd(
        TenonNode.executable(),
        ["run", "--sname", "none", "--cookie", "c", "--ssl-dist-optfile"] ++
          [optfile(dir, "good.pem")],
        stderr_to_stdout: true
      )

    assert said =~ "expected proto_dist inet_tls or inet6_tls with options of TLS, got inet_tcp"
  end
end
