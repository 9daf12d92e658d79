defmodule TenonHarness.RulesTest do
  use TenonHarness.NodeCase, async: true
  alias TenonHarness.{Guest, Services}

  @moduletag :tenon_only

  # ---- help ------------------------------------------------------------------------------------

  defp new_dir do
    dir = Path.join(System.tmp_dir!(), Cluster.unique("tenon-rules") <> "-#{System.pid()}")
    File.mkdir_p!(dir)
    on_exit(fn -> File.rm_rf!(dir) end)
    dir
  end

  # The rules' text in a file of its own.
  defp rules_file(text) do
    file = Path.join(new_dir(), "rules")
    File.write!(file, text)
    file
  end

  # A node with those rules; what tests count from this virtual machine is allowed.
  defp ruled(text, opts \\ []) do
    file = rules_file("{peer, '#{node()}', all}.\n" <> text)
    {args, opts} = Keyword.pop(opts, :args, [])
    start_connected_tenon([args: ["--rules", file] ++ args] ++ opts)
  end

  # A node that is limited to those rights, and the guest that is.
  defp limited(rights, opts \\ []) do
    guest = start_beam(Keyword.take(opts, [:x3m]))
    tenon = ruled("{peer, '#{guest.name}', #{rights}}.\n", Keyword.drop(opts, [:x3m]))
    assert ping(guest, tenon.name) == :pong
    {tenon, guest}
  end

  defp ping(beam, name), do: on(beam, name: name, do: Node.ping(name))

  defp counted(tenon, what), do: :rpc.call(tenon.name, :tenon, :metrics, []).node[what]

  defp there(guest, function, args), do: BeamNode.call(guest, Guest, function, args)

  # ---- connecting ------------------------------------------------------------------------------

  test "without rules nothing is refused" do
    tenon = start_connected_tenon()
    beam = start_beam()
    assert there(beam, :rpc, [tenon.name, {:demo, :sum, [[1, 2]]}]) == 3
    assert there(beam, :call, [{:echo, tenon.name}, 1]) == {:replied, 1}

    for what <- [:connections_refused, :functions_refused, :services_refused, :names_refused] do
      assert counted(tenon, what) == 0
    end
  end

  test "a node of another name may not connect, and hears not_allowed" do
    tenon = ruled("{peer, 'friend_*', all}.\n")
    friend = start_beam(name: Cluster.unique_node("friend"))
    stranger = start_beam(name: Cluster.unique_node("stranger"))
    assert ping(friend, tenon.name) == :pong
    assert ping(stranger, tenon.name) == :pang
    stranger_name = to_string(stranger.name)
    refusal = TenonNode.await_event(tenon, "handshake_refused", peer: stranger_name)
    assert refusal["error"] == "REFUSED"
    assert refusal["reason"] =~ "does not allow it"
    assert {:refused, "not_allowed"} = RawPeer.connect(tenon)
    assert counted(tenon, :connections_refused) >= 2
    assert there(friend, :rpc, [tenon.name, {:demo, :sum, [[1, 2]]}]) == 3
  end

  test "a rule that says none refuses, and the first rule that fits counts" do
    bad = Cluster.unique_node("bad")
    tenon = ruled("{peer, '#{bad}', none}.\n{peer, '*', all}.\n")
    assert ping(start_beam(name: bad), tenon.name) == :pang
    assert ping(start_beam(), tenon.name) == :pong
  end

  test "a node that may not connect is not called either" do
    stranger = start_beam()
    tenon = ruled("{peer, '#{node()}', all}.\n", connect: [stranger.name])
    failure = TenonNode.await_event(tenon, "connect_failed", peer: stranger.name)
    assert failure["reason"] =~ "the rules of this node do not allow it"
    assert on(stranger, do: Node.list(:connected)) == []
  end

  # Global keeps a mesh of visible nodes whole: it parts those that do not all connect, as it does
  # with net_kernel:allow/1. Of a hidden node it does not know.
  test "what a hidden node refuses costs the others of a mesh nothing" do
    {friend, stranger} = {start_beam(partitions: true), start_beam(partitions: true)}
    file = rules_file("{peer, '#{friend.name}', all}.\n")
    tenon = start_tenon(hidden: true, mesh: true, args: ["--rules", file])
    assert ping(friend, tenon.name) == :pong
    assert ping(friend, stranger.name) == :pong
    assert ping(stranger, tenon.name) == :pang
    assert on(friend, do: :global.sync()) == :ok
    assert ping(stranger, friend.name) == :pong
    assert on(friend, do: Node.list()) == [stranger.name]
    assert there(friend, :call, [{:echo, tenon.name}, 1]) == {:replied, 1}
  end

  # What a node answers to a challenge proves the cookie, to every node with the same cookie whose
  # challenge it was: who chooses whom a node calls stands between the two.
  test "whom a limited peer names is not called, and proves nothing of what it hears" do
    [liar, friend, one, two] =
      for prefix <- ["liar", "friend", "one", "two"], do: Cluster.unique_node(prefix)

    file = rules_file("{peer, '#{liar}', []}.\n{peer, '*', all}.\n")
    tenon = start_tenon(mesh: true, args: ["--rules", file])
    [between, other] = for name <- [one, two], do: RawPeer.listen(name)

    {:ok, raw} = RawPeer.connect(tenon, name: liar)
    answer_nodes(raw, [one])
    assert TenonNode.await_event(tenon, "refused", claim: "nodes() of #{one}")

    {:ok, unlimited} = RawPeer.connect(tenon, name: friend)
    answer_nodes(unlimited, [two])
    assert {called, caller} = RawPeer.accept_name(other)
    assert caller == tenon.name
    refute RawPeer.called?(between)
    for raw <- [raw, unlimited, called, between], do: RawPeer.close(raw)
  end

  # The node's question for nodes(), which is asked by erpc.
  defp answer_nodes(raw, names) do
    {ref, from, arg} =
      RawPeer.receive_control(raw, fn
        {{29, ref, from, _leader, {:erpc, :execute_call, _}, _opts}, [arg | _]} ->
          {ref, from, arg}

        _ ->
          nil
      end)

    RawPeer.control(raw, {31, ref, from, 2, RawPeer.pid(raw, 55)})
    RawPeer.control(raw, {28, RawPeer.pid(raw, 55), from, ref}, {arg, :return, names})
  end

  # ---- functions -------------------------------------------------------------------------------

  describe "a function that is not granted" do
    setup do
      {tenon, guest} =
        limited(
          "[{functions, [{demo, sum, 1}, {demo, whoami, '_'}]}, {names, ['Elixir.Demo.Tasks']}]"
        )

      {:ok, tenon: tenon, guest: guest, c: tenon.name}
    end

    test "raises not_allowed by rpc, whether it exists or not", %{guest: guest, c: c} = context do
      assert there(guest, :rpc, [c, {:demo, :sum, [[1, 2]]}]) == 3
      assert there(guest, :rpc, [c, {:demo, :whoami, []}]) == c

      for {f, a} <- [echo: [1], sum: [1, 2], no_such: []] do
        arity = length(a)

        assert {:badrpc, {:EXIT, {:not_allowed, [{:demo, ^f, ^arity, []}]}}} =
                 there(guest, :rpc, [c, {:demo, f, a}])
      end

      assert counted(context.tenon, :functions_refused) == 3
      line = TenonNode.await_event(context.tenon, "refused", function: "demo:echo/1")
      assert line["peer"] == to_string(guest.name)
      # What no rule limits gets what it always got.
      assert {:badrpc, {:EXIT, {:undef, _}}} = :rpc.call(c, :demo, :no_such, [])
    end

    test "raises it by erpc, and ends a spawned process with it", %{guest: guest, c: c} do
      assert {:error, {:exception, :not_allowed, [{:demo, :echo, 1, []}]}} =
               there(guest, :erpc, [c, {:demo, :echo, [1]}])

      assert {:not_allowed, [{:demo, :echo, 1, []}]} =
               there(guest, :monitored, [c, {:demo, :echo, [1]}])
    end

    test "is not reached by apply, nor by its export", %{guest: guest, c: c} do
      refused = {:demo, :echo, 1, []}

      for mfa <- [
            {:erlang, :apply, [:demo, :echo, [1]]},
            {:erlang, :apply, [&:demo.echo/1, [1]]},
            {:erlang, :apply, [:erlang, :apply, [:demo, :echo, [1]]]}
          ] do
        assert {:badrpc, {:EXIT, {:not_allowed, [^refused]}}} = there(guest, :rpc, [c, mfa])
        assert {:not_allowed, [^refused]} = there(guest, :monitored, [c, mfa])
      end

      assert there(guest, :rpc, [c, {:erlang, :apply, [:demo, :sum, [[1, 2]]]}]) == 3
    end

    test "is not reached by rex, nor by net_kernel", %{guest: guest, c: c} = context do
      for verb <- [:call, :block_call] do
        ask = fn f, a -> there(guest, :call, [{:rex, c}, {verb, :demo, f, a, self()}]) end
        assert ask.(:sum, [[1, 2]]) == {:replied, 3}
        assert {:replied, {:badrpc, {:EXIT, {:not_allowed, _}}}} = ask.(:echo, [1])
      end

      assert {:badrpc, {:EXIT, {:not_allowed, _}}} =
               there(guest, :plain_rex, [c, {:call, :demo, :echo, [1], self()}])

      assert counted(context.tenon, :functions_refused) == 3

      on guest, c: c do
        GenServer.cast({:rex, c}, {:cast, :demo, :echo, [1], self()})
        {:spawn, :demo, :echo, [1], self()} |> (&GenServer.call({:net_kernel, c}, &1)).()
      end

      assert counted(context.tenon, :functions_refused) == 5
    end

    test "is not run by a task, nor when that is started anew", %{guest: guest, c: c} = context do
      tasks = {Demo.Tasks, c}
      assert there(guest, :task, [tasks, {:demo, :sum, [[1, 2]]}]) == {:ok, 3}
      assert {:exit, {:not_allowed, _}} = there(guest, :task, [tasks, {:demo, :echo, [1]}])
      assert counted(context.tenon, :functions_refused) == 1

      on guest, tasks: tasks do
        owner = {node(), self(), self()}
        args = [owner, [self()], {:demo, :echo, [1]}]
        {:ok, _pid} = Wait.call(tasks, {:start_task, args, :transient, nil})
      end

      # The task, and each of those that come after it.
      Wait.until("refused again", fn -> counted(context.tenon, :functions_refused) > 2 end)
    end
  end

  test "children of a supervisor are started by what is granted" do
    {tenon, guest} = limited("[{functions, []}, {names, all}]", servers: true)
    # The other's supervisor, whose pid it tells.
    id = Cluster.unique("s") |> String.to_atom()
    {:ok, sup} = :rpc.call(tenon.name, :servers, :start_supervisor, [id, :dynamic, 3])
    spec = {{:servers, :start_link, [nil, 1]}, :temporary, 5000, :worker, [:servers]}
    assert {:replied, {:error, reason}} = there(guest, :call, [sup, {:start_child, spec}])
    assert inspect(reason) =~ "not_allowed"
    assert counted(tenon, :functions_refused) == 1
  end

  # ---- names -----------------------------------------------------------------------------------

  describe "a name that is not granted" do
    setup do
      {tenon, guest} = limited("[{names, ['Elixir.Demo.Tasks']}]")
      {:ok, tenon: tenon, guest: guest, c: tenon.name}
    end

    test "is nobody to calls, monitors and messages", %{guest: guest, c: c} = context do
      assert there(guest, :call, [{:echo, c}, 1]) == {:exit, :noproc}
      assert there(guest, :down, [{:echo, c}]) == :noproc
      assert there(guest, :down, [{:no_such, c}]) == :noproc
      assert {:replied, [_ | _]} = there(guest, :call, [{Demo.Tasks, c}, :count_children])
      # Each call that OTP 24 and later make is a monitor and a message.
      assert counted(context.tenon, :names_refused) >= 2
      line = TenonNode.await_event(context.tenon, "refused", name: "echo")
      assert line["peer"] == to_string(guest.name)
      assert Wait.call({:echo, c}, 1) == 1
    end

    test "is nobody by its pid either", %{guest: guest, c: c} do
      echo = :rpc.call(c, :erlang, :whereis, [:echo])
      assert there(guest, :call, [echo, 1]) == {:exit, :noproc}
      assert there(guest, :linked, [echo]) == :noproc
      on(guest, echo: echo, do: Process.exit(echo, :kill))
      assert ping(guest, c) == :pong
      assert :rpc.call(c, :erlang, :whereis, [:echo]) == echo
    end

    test "is not reached by way of rex", %{guest: guest, c: c} do
      assert there(guest, :plain_rex, [c, {:sbcast, :echo, :hello}]) ==
               {:nonexisting_name, :echo}

      assert there(guest, :plain_rex, [c, {:send, :echo, :hello}]) == {:nonexisting_name, :echo}
    end

    test "what serves all nodes is reached by all, and ended or looked into by none", context do
      %{guest: guest, c: c} = context
      rex = :rpc.call(c, :erlang, :whereis, [:rex])

      on guest, rex: rex do
        Process.exit(rex, :kill)
        send(rex, {:system, {self(), make_ref()}, :get_state})
      end

      assert ping(guest, c) == :pong
      assert counted(context.tenon, :names_refused) == 2
      assert :rpc.call(c, :erlang, :whereis, [:rex]) == rex
    end
  end

  test "what another was asked is answered by no guest, but by whom it was passed on to" do
    [friend, guest] = for _ <- 1..2, do: start_beam()
    rules = "{peer, '#{friend.name}', all}.\n{peer, '#{guest.name}', []}.\n"
    tenon = ruled(rules, args: ["--load", TenonNode.client_so()])
    for beam <- [friend, guest], do: assert(ping(beam, tenon.name) == :pong)
    {:ok, here} = GenServer.start(TenonHarness.Counter, {nil, 0})
    args = [here, {:hand_on, self()}, 60_000]
    asked = Task.async(fn -> :rpc.call(tenon.name, :client, :call, args) end)
    assert_receive {:from, {client, tag} = from}, 10_000
    on(guest, from: from, do: GenServer.reply(from, :forged))
    on(guest, client: client, tag: tag, do: send(client, {tag, :forged}))
    # A reply goes to an alias, where OTP has them, and the other message to the process.
    refused = if System.otp_release() == "23", do: 2, else: 1
    Wait.until("the guest to be refused", fn -> counted(tenon, :claims_refused) == refused end)
    assert Task.yield(asked, 0) == nil
    on(friend, from: from, do: GenServer.reply(from, :passed_on))
    assert Wait.await(asked) == {:OK, :passed_on}
    GenServer.stop(here)
  end

  test "an answer is sent to processes of the guest's own alone" do
    {tenon, guest} = limited("[{names, [echo]}]")
    c = tenon.name
    rex = :rpc.call(c, :erlang, :whereis, [:rex])
    # The answer would be a cast to rex, by which this node asks itself.
    cast = {:cast, :demo, :echo, [1], rex}

    on(guest,
      c: c,
      rex: rex,
      cast: cast,
      do: send({:echo, c}, {:"$gen_call", {rex, :"$gen_cast"}, cast})
    )

    line = TenonNode.await_event(tenon, "refused", peer: guest.name)
    assert Map.has_key?(line, "answer_to")
    on(guest, c: c, me: self(), do: send({:echo, c}, {:"$gen_call", {me, :tag}, 1}))
    assert there(guest, :call, [{:echo, c}, 2]) == {:replied, 2}
    assert counted(tenon, :names_refused) == 2
    refute_received {:tag, 1}
  end

  # ---- services --------------------------------------------------------------------------------

  for generation <- Services.generations() do
    describe "#{generation}: a service that is not granted" do
      setup do
        {tenon, guest} =
          limited("[{services, [c_sum, {'Elixir.Demo.Router', c_where}]}]",
            x3m: unquote(generation)
          )

        Services.await_providers(guest, :c_echo, [tenon.name])
        {:ok, tenon: tenon, guest: guest, c: tenon.name}
      end

      test "is forbidden, and others are served", %{guest: guest, tenon: tenon} do
        assert Services.outcome(guest, :c_echo, %{"a" => 1}) == {:error, :forbidden}
        refute Services.authorized?(guest, :c_echo)
        assert Services.outcome(guest, :c_sum, %{"numbers" => [1, 2]}) == {:ok, 3}
        assert Services.authorized?(guest, :c_sum)
        assert {:ok, _} = Services.outcome(guest, :c_where, nil)
        assert counted(tenon, :services_refused) == 2
        line = TenonNode.await_event(tenon, "refused", service: "Elixir.Demo.Router.c_echo")
        assert line["peer"] == to_string(guest.name)
      end

      test "is forbidden when it is forwarded", %{guest: guest, c: c} do
        numbers = %{"numbers" => [1, 2]}
        assert there(guest, :forwarded, [c, :c_echo, numbers]) == {:error, :forbidden}
        assert there(guest, :forwarded, [c, :c_sum, numbers]) == {:ok, 3}
      end
    end
  end

  # ---- cookies ---------------------------------------------------------------------------------

  describe "a cookie of one node" do
    test "of the command line is for both directions" do
      other = start_beam(cookie: "another")
      name = to_string(other.name)
      tenon = start_connected_tenon(args: ["--cookie-for", name, "another"])
      assert ping(other, tenon.name) == :pong

      called = start_tenon(args: ["--cookie-for", name, "another"], connect: [other.name])

      assert TenonNode.await_event(called, "peer_up", node: other.name)

      {said, 0} = TenonNode.command(["ping", name, "--cookie-for", name, "another"])

      assert said == "pong\n"
      assert ping(start_beam(cookie: "another"), tenon.name) == :pang
      assert ping(start_beam(), tenon.name) == :pong
    end

    test "stands in a file or in the environment" do
      [one, two] = for cookie <- ["cookie_one", "cookie_two"], do: start_beam(cookie: cookie)
      secret = Path.join(new_dir(), "secret")
      File.write!(secret, "cookie_one\n")
      File.chmod!(secret, 0o400)

      file =
        rules_file("""
        {cookie, '#{one.name}', {file, "#{secret}"}}.
        {cookie, '#{two.name}', {env, "TENON_TEST_COOKIE"}}.
        """)

      tenon =
        start_connected_tenon(
          args: ["--rules", file],
          env: [{"TENON_TEST_COOKIE", "cookie_two"}]
        )

      assert ping(one, tenon.name) == :pong
      assert ping(two, tenon.name) == :pong
    end

    test "is as BEAM nodes set it" do
      tenon = start_tenon(cookie: "of_tenon")
      beam = start_beam()
      assert ping(beam, tenon.name) == :pang
      on(beam, c: tenon.name, do: :erlang.set_cookie(c, :of_tenon))
      assert ping(beam, tenon.name) == :pong
    end
  end

  # ---- read again ------------------------------------------------------------------------------

  test "rules are read again at SIGHUP, for connections that are there too" do
    [stays, goes] = for _ <- 1..2, do: start_beam()

    file = rules_file("{peer, '*', [{functions, [{demo, sum, 1}, {tenon, metrics, 0}]}]}.\n")

    tenon = start_connected_tenon(args: ["--rules", file])
    for beam <- [stays, goes], do: assert(ping(beam, tenon.name) == :pong)
    assert there(stays, :rpc, [tenon.name, {:demo, :sum, [[1]]}]) == 1

    File.write!(file, "{peer, '#{stays.name}', [{functions, [{demo, echo, 1}]}]}.\n")
    Program.signal(tenon.program, :HUP)
    assert TenonNode.await_event(tenon, "rules_reloaded")
    down = TenonNode.await_event(tenon, "peer_down", node: goes.name)
    assert down["reason"] =~ "the rules of this node do not allow it"
    assert ping(goes, tenon.name) == :pang
    assert there(stays, :rpc, [tenon.name, {:demo, :echo, [1]}]) == 1

    assert {:badrpc, {:EXIT, {:not_allowed, _}}} =
             there(stays, :rpc, [tenon.name, {:demo, :sum, [[1]]}])

    File.write!(file, "{peer, '*', all}.\n{peer, 'x@h', [{fuctions, all}]}.\n")
    Program.signal(tenon.program, :HUP)
    failure = TenonNode.await_event(tenon, "rules_reload_failed")
    assert failure["reason"] =~ "rule in line 2"
    assert failure["reason"] =~ "fuctions"
    assert ping(goes, tenon.name) == :pang
    assert there(stays, :rpc, [tenon.name, {:demo, :echo, [2]}]) == 2
  end

  test "a node does not start with rules that cannot be read" do
    file = rules_file("{peer, 'a@h', [{names, [one]}]}.\n{pear, 'a@h', all}.\n")
    args = ["run", "--sname", "none", "--cookie", "c", "--rules"]
    {said, 1} = System.cmd(TenonNode.executable(), args ++ [file], stderr_to_stdout: true)
    assert said =~ "rules of #{file}: rule in line 2: expected {peer, Who, Rights}"
    assert said =~ ":pear"
    {said, 1} = System.cmd(TenonNode.executable(), args ++ ["/no/such"], stderr_to_stdout: true)
    assert said =~ "reading /no/such"
  end

  # ---- certificates ----------------------------------------------------------------------------

  @tag :own_carrier
  test "over TLS a rule tells peers by their certificates' names" do
    dir = new_dir()
    script = Path.expand("../../../test/make-certs", __DIR__)
    host = node() |> to_string() |> String.split("@") |> List.last()
    {_, 0} = System.cmd("sh", [script, dir, host], stderr_to_stdout: true)

    optfile = fn cert ->
      file = Path.join(dir, Cluster.unique(cert) <> ".conf")

      both =
        ~s({certfile, "#{dir}/#{cert}"}, {cacertfile, "#{dir}/ca.pem"}, {verify, verify_peer})

      File.write!(file, """
      [{server, [{fail_if_no_peer_cert, true}, #{both}]},
       {client, [#{both}]}].
      """)

      file
    end

    tls_beam = fn cert, name ->
      start_beam(
        name: name,
        erl: ["-proto_dist", "inet_tls", "-ssl_dist_optfile", optfile.(cert)]
      )
    end

    bound = Cluster.unique_node("bound")

    file =
      rules_file("""
      {peer, ['#{bound}', {certificate, "shop.example.*"}], all}.
      {peer, '#{bound}', none}.
      {peer, {certificate, "spiffe://example/shop"}, [{functions, [{demo, whoami, 0}]}]}.
      """)

    tenon =
      start_tenon(
        args:
          ["--proto-dist", "inet_tls", "--ssl-dist-optfile", optfile.("good.pem")] ++
            ["--rules", file]
      )

    # Its subject is "good", which no rule names.
    assert ping(tls_beam.("good.pem", Cluster.unique_node("good")), tenon.name) == :pang

    guest = tls_beam.("several.pem", Cluster.unique_node("several"))
    assert ping(guest, tenon.name) == :pong
    assert there(guest, :rpc, [tenon.name, {:demo, :whoami, []}]) == tenon.name

    assert {:badrpc, {:EXIT, {:not_allowed, _}}} =
             there(guest, :rpc, [tenon.name, {:demo, :sum, [[1]]}])

    # The name alone, with a good certificate of somebody else, is not enough.
    assert ping(tls_beam.("good.pem", bound), tenon.name) == :pang
    called = tls_beam.("several.pem", Cluster.unique_node("called"))

    caller =
      start_tenon(
        args:
          ["--proto-dist", "inet_tls", "--ssl-dist-optfile", optfile.("good.pem")] ++
            ["--rules", file],
        connect: [called.name]
      )

    assert TenonNode.await_event(caller, "peer_up", node: called.name)
  end
end
