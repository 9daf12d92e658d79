%% SPDX-License-Identifier: Apache-2.0
%% What runs on each BEAM node of the mesh test: takes requests as lines on its
%% standard input and answers them on its standard output, so that driving it
%% needs no distribution. A hidden one beside each C node asks that one.
-module(mesh_node).
-export([main/0, join/1, connect/1, hold/2, release/2, state/1]).

main() ->
    Port = open_port({fd, 0, 1}, [eof, {line, 65536}]),
    port_command(Port, "@ready\n"),
    serve(Port, []).

serve(Port, Parts) ->
    receive
        {Port, {data, {noeol, Part}}} ->
            serve(Port, [Parts, Part]);
        {Port, {data, {eol, Part}}} ->
            [Id, Text] = string:split(lists:flatten([Parts, Part]), " "),
            spawn(fun() -> answer(Port, Id, Text) end),
            serve(Port, []);
        {answered, Line} ->
            port_command(Port, Line),
            serve(Port, Parts);
        {Port, eof} ->
            erlang:halt(0, [{flush, false}])
    end.

answer(Port, Id, Text) ->
    {connected, Server} = erlang:port_info(Port, connected),
    {F, A} = binary_to_term(base64:decode(Text)),
    Result = try apply(?MODULE, F, A) catch Class:Why -> {Class, Why} end,
    Server ! {answered, ["@", Id, " ", base64:encode(term_to_binary(Result)), "\n"]}.

%% A member of a group of its own and of all, as long as the node lives; or no
%% pg at all.
join(false) ->
    ok;
join(true) ->
    {ok, _} = pg:start(pg),
    Member = spawn(fun forever/0),
    ok = pg:join(pg, mesh, Member),
    ok = pg:join(pg, node(), Member).

forever() ->
    receive after infinity -> ok end.

connect(Nodes) ->
    [spawn(fun() -> net_kernel:connect_node(Node) end) || Node <- Nodes, Node =/= node()],
    ok.

%% A process with a global name, on this node or on the C node beside it.
hold(here, Name) ->
    Holder = spawn(fun forever/0),
    case global:register_name(Name, Holder, fun global:random_notify_name/3) of
        yes -> yes;
        no -> exit(Holder, kill), no
    end;
hold(Node, Name) ->
    rpc:call(Node, demo, global_start, [Name, random_notify_name, self()], 20000).

release(here, Name) ->
    global:unregister_name(Name);
release(Node, Name) ->
    rpc:call(Node, demo, global_unregister, [Name], 20000).

%% What must be the same on all nodes in the end. C nodes hold no pg state that
%% can be asked for from outside.
state(here) ->
    Known = gen_server:call(global_name_server, get_known),
    maps:merge(
      #{nodes => lists:sort([node() | nodes()]),
        known => lists:sort([node() | Known]),
        names => lists:sort([{N, global:whereis_name(N)} || N <- global:registered_names()])},
      groups(whereis(pg)));
state(Node) ->
    Known = gen_server:call({global_name_server, Node}, get_known),
    #{nodes => lists:sort([Node | rpc:call(Node, erlang, nodes, [])]),
      known => lists:sort([Node | Known]),
      names => lists:sort([{N, rpc:call(Node, demo, global_whereis, [N])}
                           || N <- rpc:call(Node, demo, global_names, [])])}.

groups(undefined) ->
    #{};
groups(_) ->
    #{pg => [{G, lists:sort(pg:get_members(pg, G))}
             || G <- lists:sort(pg:which_groups(pg)), pg:get_members(pg, G) =/= []]}.
